// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PROBE_H_
#define SERF_SWIM_PROBE_H_

// Probe: one check of one node, from the ping to the verdict, as a machine that knows neither
// members nor network. Its owner sends what the steps ask for and reports what comes back.
// Source: docs/protocol/membership.md 5.2; Lifeguard section IV for the nacks.
//
//   probe.Start(now, sequence, timeout, interval);       // and send the ping
//   at probe.deadline(): probe.OnTimer(now) ==
//     kAskHelpers: send indirect pings, probe.HelpersAsked(nacks wanted)
//     kEnd: probe.verdict(), probe.health_delta()
//   probe.OnAck(now, sequence): ended with contact

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <optional>
#include <utility>

#include "serf/base/time.h"
#include "serf/wire/ids.h"

namespace serf::swim {

class Probe {
 public:
  enum class Step : std::uint8_t { kNothing, kAskHelpers, kEnd };
  enum class Verdict : std::uint8_t {
    kAcknowledged,  // by the target itself or by way of a helper
    kTcpContact,    // only the ping over TCP was answered
    kNoContact,
  };

  // Begins a probe. The direct ping has `timeout` to be answered, and the whole probe `interval`.
  void Start(Instant now, wire::SequenceNumber sequence, Duration timeout, Duration interval);

  // The prober stood still, and heard nobody for so long: the answers get the time again. Only once
  // for a probe, so that a prober that is late all the time comes to verdicts.
  void Postpone(Duration deaf);

  // Forgets a probe under way.
  void Stop() { phase_ = Phase::kIdle; }

  bool running() const { return phase_ != Phase::kIdle; }
  wire::SequenceNumber sequence() const { return sequence_; }
  // When all answers must have arrived.
  Instant end() const { return end_; }
  // When OnTimer is due; kNever if no probe runs.
  Instant deadline() const;

  // The network refused the direct ping. True: ask the helpers now.
  bool OnSendFailed();

  // An acknowledgement. `round_trip` is set if it answers the direct ping in time; it may be zero.
  // `ended` is false if the probe does not know the number.
  struct Ack {
    bool ended = false;
    std::optional<Duration> round_trip;
  };
  Ack OnAck(Instant now, wire::SequenceNumber sequence);

  // A helper got no answer. False if the probe doesn't know the number.
  bool OnNack(wire::SequenceNumber sequence);

  // The helpers were asked after kAskHelpers; `nacks_wanted` of them will report a failure.
  void HelpersAsked(int nacks_wanted);

  // The ping over TCP was answered. Counts when the probe ends without an acknowledgement.
  void OnTcpContact(wire::SequenceNumber sequence);

  Step OnTimer(Instant now);

  // After the end, until the next Start.
  Verdict verdict() const { return verdict_; }
  // For a probe that failed: the helpers that reported failure, and those that sent nothing
  // although they should.
  int nacks() const { return nacks_; }
  int silent_helpers() const { return nacks_wanted_ - nacks_; }
  // How the outcome changes the local health score (the table of docs/protocol/membership.md 5.2).
  int health_delta() const;

 private:
  enum class Phase : std::uint8_t { kIdle, kDirect, kIndirect };

  void End(Verdict verdict) {
    phase_ = Phase::kIdle;
    verdict_ = verdict;
  }

  Phase phase_ = Phase::kIdle;
  Verdict verdict_ = Verdict::kNoContact;
  bool send_failed_ = false;
  bool tcp_contact_ = false;
  bool postponed_ = false;
  int nacks_wanted_ = 0;
  int nacks_ = 0;
  wire::SequenceNumber sequence_;
  Instant sent_;
  Instant direct_end_;
  Instant end_;
};

inline void Probe::Start(Instant now, wire::SequenceNumber sequence, Duration timeout,
                         Duration interval) {
  assert(!running());
  phase_ = Phase::kDirect;
  verdict_ = Verdict::kNoContact;
  send_failed_ = false;
  tcp_contact_ = false;
  postponed_ = false;
  nacks_wanted_ = 0;
  nacks_ = 0;
  sequence_ = sequence;
  sent_ = now;
  direct_end_ = now + std::min(timeout, interval);
  end_ = now + interval;
}

inline void Probe::Postpone(Duration deaf) {
  if (!running() || std::exchange(postponed_, true)) return;
  direct_end_ += deaf;
  end_ += deaf;
}

inline Instant Probe::deadline() const {
  switch (phase_) {
    case Phase::kIdle:
      return kNever;
    case Phase::kDirect:
      return direct_end_;
    case Phase::kIndirect:
      return end_;
  }
  return kNever;
}

inline bool Probe::OnSendFailed() {
  if (phase_ != Phase::kDirect) return false;
  send_failed_ = true;
  phase_ = Phase::kIndirect;
  return true;
}

inline Probe::Ack Probe::OnAck(Instant now, wire::SequenceNumber sequence) {
  if (!running() || sequence != sequence_) return {};
  Ack ack{.ended = true, .round_trip = std::nullopt};
  // An answer at the very end of the timeout, before the timer was served, is in time.
  if (phase_ == Phase::kDirect) ack.round_trip = now - sent_;
  End(Verdict::kAcknowledged);
  return ack;
}

inline bool Probe::OnNack(wire::SequenceNumber sequence) {
  if (!running() || sequence != sequence_) return false;
  // More nacks than were requested are forgeries or duplicates and do not count.
  nacks_ = std::min(nacks_ + 1, nacks_wanted_);
  return true;
}

inline void Probe::HelpersAsked(int nacks_wanted) {
  assert(phase_ == Phase::kIndirect);
  nacks_wanted_ = nacks_wanted;
}

inline void Probe::OnTcpContact(wire::SequenceNumber sequence) {
  if (running() && sequence == sequence_) tcp_contact_ = true;
}

inline Probe::Step Probe::OnTimer(Instant now) {
  if (now < deadline()) return Step::kNothing;
  if (phase_ == Phase::kDirect) {
    phase_ = Phase::kIndirect;
    return Step::kAskHelpers;
  }
  End(tcp_contact_ ? Verdict::kTcpContact : Verdict::kNoContact);
  return Step::kEnd;
}

inline int Probe::health_delta() const {
  if (verdict_ != Verdict::kNoContact) return send_failed_ ? 0 : -1;
  return nacks_wanted_ > 0 ? nacks_wanted_ - nacks_ : 1;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_PROBE_H_
