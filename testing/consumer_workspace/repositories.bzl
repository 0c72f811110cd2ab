"""The monorepo's own repositories: serf, and what it has already and so keeps."""

load("//:paths.bzl", "ABSL", "SERF")

def monorepo_repositories():
    native.local_repository(
        name = "serf",
        path = SERF,
    )
    if ABSL:
        native.local_repository(
            name = "com_google_absl",
            path = ABSL,
        )
