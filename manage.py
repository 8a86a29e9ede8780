#!/usr/bin/env python
"""The one door to every command: ``manage.py help`` lists them."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["aggregate"]:
        # Works on files alone: loading settings and apps would take longer than most of its work.
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)
        from aggregation.management.commands.aggregate import Command

        return Command().run_from_argv(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crowd.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
