"""What //testing/lint reads. tools/check_deps.py tells what is missing here."""

# Every package with sources of ours.
PACKAGES = [
    "//cmd",
    "//serf/base",
    "//serf/swim",
    "//testing/lint",
    "//tools",
]

# Libraries which lead to every header that a consumer may include.
PUBLISHED = [
]
