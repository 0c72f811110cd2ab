// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_HEARING_NODE_H_
#define SERF_SWIM_HEARING_NODE_H_

// HearingNode: one Node of a test, n1, and the messages about others that 10.0.0.9 sends it.
//
//   Alive(2, 5);                           // about n2, incarnation 5
//   Suspect("n2", 5, "n3");
//   EXPECT_EQ(StateOf("n2"), "suspect 5");
//   EXPECT_TRUE(Gossips("suspect n2@5 by n3"));

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/counters.h"
#include "serf/swim/node.h"
#include "serf/swim/test_net.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// Probes are off by default, so that only the messages of the test arrive. Fixtures derive from it.
class HearingNode {
 protected:
  HearingNode() : HearingNode(Quiet()) {}
  explicit HearingNode(const Config& config) : host_(net_.Add(1, config)) {
    host_.delegate.events.clear();
  }

  static Config Quiet() {
    Config config = Config::Lan();
    config.probe_interval = Duration::zero();
    config.push_pull_interval = Duration::zero();
    return config;
  }

  struct AliveText {
    std::string node;
    std::uint32_t incarnation = 1;
    Endpoint endpoint;
    std::string meta = {};
    wire::VersionVector versions = {1, 5, 2, 0, 0, 0};
  };
  void Alive(const AliveText& a) {
    const auto vsn = a.versions.ToBytes();
    Hear(wire::Alive{.incarnation = wire::Incarnation(a.incarnation),
                     .node = a.node,
                     .addr = a.endpoint.address.bytes(),
                     .port = a.endpoint.port,
                     .meta = AsBytes(a.meta),
                     .vsn = vsn});
  }
  void Alive(int i, std::uint32_t incarnation, const std::string& meta = {}) {
    Alive({absl::StrCat("n", i), incarnation, TestNet::EndpointOf(i), meta});
  }
  void Suspect(const std::string& node, std::uint32_t incarnation, const std::string& from) {
    Hear(wire::Suspect{.incarnation = wire::Incarnation(incarnation), .node = node, .from = from});
  }
  void Dead(const std::string& node, std::uint32_t incarnation, const std::string& from) {
    Hear(wire::Dead{.incarnation = wire::Incarnation(incarnation), .node = node, .from = from});
  }
  template <typename Message>
  void Hear(const Message& message) {
    net_.Inject(host_, TestNet::EndpointOf(9), TestNet::Encoded(message));
  }

  // "alive 3", "unknown", ...
  std::string StateOf(const std::string& name) const {
    const auto member = node().Find(name);
    if (!member) return "unknown";
    const char* const names[] = {"alive", "suspect", "dead", "left"};
    return absl::StrCat(names[static_cast<int>(node().state(*member))], " ",
                        node().incarnation(*member).value());
  }
  // The events since the last call.
  std::vector<std::string> Events() { return std::exchange(host_.delegate.events, {}); }
  // True if this node sends `text` to any node within two seconds from now.
  bool Gossips(const std::string& text) {
    const std::size_t before = net_.sent.size();
    net_.RunFor(std::chrono::seconds(2));
    for (std::size_t i = before; i < net_.sent.size(); ++i) {
      if (net_.sent[i].text.find(text) != std::string::npos) return true;
    }
    return false;
  }
  const Node& node() const { return *host_.node; }
  const Counters& counters() const { return node().counters(); }

  TestNet net_;
  TestNet::Host& host_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_HEARING_NODE_H_
