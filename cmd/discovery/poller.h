#ifndef SERF_CMD_DISCOVERY_POLLER_H_
#define SERF_CMD_DISCOVERY_POLLER_H_

// DiscoveryPoller: decides when to ask the link for agents, reads the answers, and chooses the
// addresses to join. A machine without sockets and clock.
//
//   poller.OnTimer(now, out);           // at next_deadline()
//   poller.OnResponse(now, message, out);
//   poller.OnJoined(now, members, all);
//
// After each of the first two the driver does what `out` says. Unlike Go Serf, the poller counts
// only instances of this node's service, does not join the node itself, and retries an address
// after a failed join. Source: docs/protocol/agent.md 2.14.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/cmd/discovery/dns_message.h"

namespace serf::cmd {

// The driver's tasks.
struct DiscoveryOutput {
  bool open = false;                  // open the sockets from which questions leave
  std::vector<ByteVector> questions;  // send to both groups
  bool close = false;
  std::vector<Endpoint> join;  // join in one call; OnJoined() follows
};

class DiscoveryPoller {
 public:
  static constexpr std::chrono::seconds kPollInterval{60};
  // How long answers to a poll count.
  static constexpr std::chrono::seconds kListenTime{1};
  // How long after the last new address the join of all begins.
  static constexpr std::chrono::milliseconds kQuietTime{100};
  // The most instances of one poll; further ones are ignored. Gossip finds the rest of a large
  // cluster.
  static constexpr std::size_t kInstancesMax = 256;
  // The most addresses of one join, so that a hostile answer cannot make the agent dial without
  // end.
  static constexpr std::size_t kJoinMax = 64;
  // The most addresses that are not tried again. Beyond it the poller forgets all of them.
  static constexpr std::size_t kJoinedMax = 4096;

  // `service` comes from DiscoveryServiceName(); `self` is not joined. The first poll is due now.
  DiscoveryPoller(Instant now, std::string service, const Endpoint& self, std::uint64_t seed)
      : service_(std::move(service)), self_(Plain(self)), rng_(seed), next_poll_(now) {}

  Instant next_deadline() const { return std::min({next_poll_, listen_until_, join_at_}); }

  void OnTimer(Instant now, DiscoveryOutput& out);
  void OnResponse(Instant now, const DnsMessage& message, DiscoveryOutput& out);

  // The join has ended. The poller then knows the joined addresses that are in `members`, or all of
  // them if `all`. It tries the others again when they answer again.
  void OnJoined(Instant now, std::span<const Endpoint> members, bool all);

 private:
  struct Instance {
    std::string name;  // as it came, because responders compare exactly
    std::string host;  // empty: no SRV record yet
    std::uint16_t port = 0;
    std::optional<IpAddress> address;
    bool text = false;
    bool asked = false;
    bool told = false;  // Found() has reported it in this poll

    bool complete() const { return address && port != 0 && text; }
  };

  // A form in which equal endpoints are equal.
  static Endpoint Plain(const Endpoint& endpoint) {
    return {endpoint.address.Unmapped(), endpoint.port};
  }
  static std::string Key(const std::string& name) { return absl::AsciiStrToLower(name); }

  // The instance with this name. Null if it does not belong to the service, or there are too many.
  Instance* Find(const std::string& name);
  void TakeAddress(const std::string& host, const IpAddress& address,
                   const std::set<std::string>& touched);
  ByteVector Question(const std::string& name, DnsType type);
  void Found(Instant now, const Endpoint& endpoint);

  const std::string service_;
  const Endpoint self_;
  Rng rng_;
  Instant next_poll_;
  Instant listen_until_ = kNever;
  Instant join_at_ = kNever;
  bool joining_ = false;
  std::map<std::string, Instance> instances_;  // the instances of this poll, by Key()
  std::set<Endpoint> found_;                   // addresses that wait for join_at_
  std::set<Endpoint> asked_in_;                // addresses that are being joined
  std::set<Endpoint> joined_;
};

inline void DiscoveryPoller::OnTimer(Instant now, DiscoveryOutput& out) {
  if (now >= listen_until_) {
    out.close = true;
    listen_until_ = kNever;
    instances_.clear();
  }
  if (now >= next_poll_) {
    out.open = true;
    out.questions.push_back(Question(service_, DnsType::kPtr));
    listen_until_ = now + kListenTime;
    next_poll_ = now + kPollInterval;
  }
  if (now >= join_at_) {
    join_at_ = kNever;
    joining_ = true;
    asked_in_ = std::exchange(found_, {});
    out.join.assign(asked_in_.begin(), asked_in_.end());
  }
}

inline void DiscoveryPoller::OnResponse(Instant now, const DnsMessage& message,
                                        DiscoveryOutput& out) {
  if (!message.response || listen_until_ == kNever) return;
  std::set<std::string> touched;
  for (const DnsRecord& record : message.records) {
    if (const auto* ptr = std::get_if<DnsPtr>(&record.data)) {
      if (Key(record.name) == Key(service_) && Find(ptr->name) != nullptr) {
        touched.insert(Key(ptr->name));
      }
      continue;
    }
    if (std::holds_alternative<IpAddress>(record.data)) continue;
    Instance* const instance = Find(record.name);
    if (instance == nullptr) continue;
    touched.insert(Key(record.name));
    if (const auto* srv = std::get_if<DnsSrv>(&record.data)) {
      instance->host = Key(srv->host);
      instance->port = srv->port;
    } else {
      instance->text = true;
    }
  }
  // In a second pass, because an address may precede the record that names its owner.
  for (const DnsRecord& record : message.records) {
    const auto* const address = std::get_if<IpAddress>(&record.data);
    if (address != nullptr) TakeAddress(Key(record.name), *address, touched);
  }
  for (auto& [key, instance] : instances_) {
    if (instance.complete()) {
      if (!std::exchange(instance.told, true)) Found(now, {*instance.address, instance.port});
    } else if (!std::exchange(instance.asked, true)) {
      // Go Serf asks for PTR records here, which no instance has.
      out.questions.push_back(Question(instance.name, DnsType::kAny));
    }
  }
}

// Agents on one host share its name but not their addresses, so the addresses of one message belong
// to its instances.
inline void DiscoveryPoller::TakeAddress(const std::string& host, const IpAddress& address,
                                         const std::set<std::string>& touched) {
  if (address.is_unspecified()) return;
  bool taken = false;
  for (const std::string& name : touched) {
    Instance& instance = instances_[name];
    if (instance.host != host) continue;
    instance.address = address;
    taken = true;
  }
  if (taken) return;
  for (auto& [key, instance] : instances_) {
    if (instance.host == host && !instance.address) instance.address = address;
  }
}

inline DiscoveryPoller::Instance* DiscoveryPoller::Find(const std::string& name) {
  const std::string key = Key(name);
  if (!absl::EndsWith(key, absl::StrCat(".", Key(service_)))) return nullptr;
  const auto found = instances_.find(key);
  if (found != instances_.end()) return &found->second;
  if (instances_.size() == kInstancesMax) return nullptr;
  Instance& instance = instances_[key];
  instance.name = name;
  return &instance;
}

inline ByteVector DiscoveryPoller::Question(const std::string& name, DnsType type) {
  DnsWriter question(static_cast<std::uint16_t>(rng_.Next()), /*flags=*/0);
  question.AddQuestion({name, type});
  return {question.bytes().begin(), question.bytes().end()};
}

inline void DiscoveryPoller::Found(Instant now, const Endpoint& endpoint) {
  const Endpoint plain = Plain(endpoint);
  if (plain == self_ || joined_.count(plain) > 0 || asked_in_.count(plain) > 0) return;
  if (found_.size() == kJoinMax || !found_.insert(plain).second) return;
  if (!joining_) join_at_ = now + kQuietTime;
}

inline void DiscoveryPoller::OnJoined(Instant now, std::span<const Endpoint> members, bool all) {
  if (joined_.size() + asked_in_.size() > kJoinedMax) joined_.clear();
  if (all) {
    joined_.merge(asked_in_);
  } else {
    for (const Endpoint& member : members) {
      if (asked_in_.count(Plain(member)) > 0) joined_.insert(Plain(member));
    }
  }
  asked_in_.clear();
  joining_ = false;
  if (!found_.empty()) join_at_ = now + kQuietTime;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DISCOVERY_POLLER_H_
