"""What //testing/lint reads. tools/check_deps.py tells what is missing here."""

# Every package with sources of ours.
PACKAGES = [
    "//cmd",
    "//cmd/discovery",
    "//cmd/events",
    "//cmd/files",
    "//cmd/telemetry",
    "//rpc",
    "//serf",
    "//serf/base",
    "//serf/swim",
    "//serf/wire",
    "//testing",
    "//testing/chaos",
    "//testing/integration",
    "//testing/interop",
    "//testing/lint",
    "//testing/vectors",
    "//tools",
    "//transport",
    "//transport/names",
]

# Libraries which lead to every header that a consumer may include.
PUBLISHED = [
    "//rpc:client",
    "//rpc:server_io",
    "//serf",
    "//serf:serf_fwd",
    "//serf/base:timer_heap",
    "//serf/wire:coordinate_message",
    "//serf/wire:openssl_aead",
    "//serf/wire:stream_frame",
    "//transport:bind_address",
    "//transport:host",
    "//transport/names:lookup",
]
