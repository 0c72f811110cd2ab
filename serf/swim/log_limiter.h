// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_LOG_LIMITER_H_
#define SERF_SWIM_LOG_LIMITER_H_

// LogLimiter: keeps what the network can cause at will from filling the log: of each reason one
// line per second is written, the others are counted (docs/architecture.md).
//
//   limiter.Log(now, LogReason::kDecode, LogLevel::kError, [&] { return StrCat(...); });

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "serf/base/logger.h"
#include "serf/base/time.h"

namespace serf::swim {

// Lines that share a limit. Append-only by habit, not by need.
enum class LogReason : std::uint8_t {
  kLabel,
  kDecrypt,
  kChecksum,
  kDecompress,
  kDecode,
  kUnknownType,
  kCompound,
  kWrongPing,
  kRejectedAlive,
  kRejectedAddress,
  kConflict,
  kRefute,
  kIncarnation,
  kAddressUpdate,
  kLimit,
  kStream,
  kStreamAccepted,
  kMerge,
  kPendingPushPulls,
  kBacklog,
  kOldEvent,  // of the Serf layer, as are the following
  kUnaskedReply,
  kStateSize,
  kPingPayload,
  kLamportTime,
  kUnjudgedQuery,
};
inline constexpr std::size_t kLogReasons = static_cast<std::size_t>(LogReason::kUnjudgedQuery) + 1;

class LogLimiter {
 public:
  static constexpr Duration kPeriod = std::chrono::seconds(1);

  explicit LogLimiter(Logger* logger) : logger_(logger) { next_.fill(Instant::min()); }

  // Calls text() for the line if it is to be written.
  template <typename Text>
  void Log(Instant now, LogReason reason, LogLevel level, const Text& text) {
    if (logger_ == nullptr || !logger_->Enabled(level)) return;
    Instant& next = next_[static_cast<std::size_t>(reason)];
    if (now < next) {
      ++suppressed_;
      return;
    }
    next = now + kPeriod;
    logger_->Write(level, text());
  }

  // Lines that were not written.
  std::uint64_t suppressed() const { return suppressed_; }

 private:
  Logger* logger_;
  std::uint64_t suppressed_ = 0;
  std::array<Instant, kLogReasons> next_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_LOG_LIMITER_H_
