"""Who is asking: read by every request."""

# The person behind an API token. Unique index of its digest.
USER_BY_TOKEN = """
SELECT {columns} FROM projects_apitoken t JOIN projects_user u ON u.id = t.user_id
WHERE t.digest = %(digest)s AND t.revoked_at IS NULL AND u.is_active
"""

# A membership with its project, by the user or by their API token. Constraint member_once_per_project.
MEMBERSHIP = """
SELECT {columns} FROM projects_member m JOIN projects_project p ON p.id = m.project_id
WHERE m.project_id = %(project)s AND m.user_id = %(user)s
"""
# With which versions of these rows, and of the user's, they are.
MEMBERSHIP_BY_TOKEN = """
SELECT concat_ws(' ', u.xmin, u.ctid, m.xmin, m.ctid, p.xmin, p.ctid), {columns}
FROM projects_apitoken t
JOIN projects_user u ON u.id = t.user_id
JOIN projects_member m ON m.user_id = u.id
JOIN projects_project p ON p.id = m.project_id
WHERE t.digest = %(digest)s AND m.project_id = %(project)s
"""

# Nothing, if these tokens are good and their rows, of one project, are of these versions; else an error of this code.
REQUIRE_SEEN = "SELECT projects_require_seen(%(digests)s::bytea[], %(project)s::bigint, %(versions)s::text[])"
CHANGED = "CR001"
