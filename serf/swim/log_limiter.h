// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_LOG_LIMITER_H_
#define SERF_SWIM_LOG_LIMITER_H_

// LogLimiter: keeps lines that the network can cause at will from filling the log. For each reason
// it writes one line per second and counts the others (docs/architecture.md).
//
//   limiter.Log(now, LogReason::kDecode, LogLevel::kError, [&] { return StrCat(...); });

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "serf/base/logger.h"
#include "serf/base/time.h"

namespace serf::swim {

// The reasons; lines of one reason share a limit. The order does not matter.
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

  // Writes the line text(), unless the limit drops it; calls text() only then.
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

  // How many lines were dropped.
  std::uint64_t suppressed() const { return suppressed_; }

 private:
  Logger* logger_;
  std::uint64_t suppressed_ = 0;
  std::array<Instant, kLogReasons> next_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_LOG_LIMITER_H_
