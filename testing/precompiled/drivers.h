#ifndef SERF_TESTING_PRECOMPILED_DRIVERS_H_
#define SERF_TESTING_PRECOMPILED_DRIVERS_H_

// The machine, its drivers and RPC, for the tests over sockets. Not to be included:
// tools/precompiled.bzl.

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/rpc/client.h"
#include "serf/rpc/server_session.h"
#include "serf/serf.h"
#include "serf/testing/host_fixture.h"
#include "serf/transport/agent.h"

#endif  // SERF_TESTING_PRECOMPILED_DRIVERS_H_
