#include "serf/wire/serf_messages.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/rng.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using nlohmann::json;
using ::serf::testkit::Hex;
using ::serf::testkit::HostileInput;
using ::serf::testkit::HostileSerfMessages;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

// The vectors' form: absent and empty bytes are null.
json ToJson(ByteView bytes) { return bytes.empty() ? json() : json{{"bytes", Hex(bytes)}}; }
json ToJson(absl::string_view text) { return std::string(text); }
json ToJson(LamportTime time) { return time.value(); }

template <typename T, typename F>
json ListToJson(const ListView<T>& list, F&& element) {
  if (!list.is_present()) return json();
  json out = json::array();
  list.ForEach([&](const T& item) { out.push_back(element(item)); });
  return out;
}
json ToJson(const ListView<absl::string_view>& list) {
  return ListToJson(list, [](absl::string_view text) { return std::string(text); });
}

json ToJson(const LeaveMessage& m) {
  return {{"LTime", ToJson(m.ltime)}, {"Node", ToJson(m.node)}, {"Prune", m.prune}};
}
json ToJson(const JoinMessage& m) { return {{"LTime", ToJson(m.ltime)}, {"Node", ToJson(m.node)}}; }
json ToJson(const UserEventMessage& m) {
  return {{"LTime", ToJson(m.ltime)},
          {"Name", ToJson(m.name)},
          {"Payload", ToJson(m.payload)},
          {"CC", m.cc}};
}
json ToJson(const QueryMessage& m) {
  return {{"LTime", ToJson(m.ltime)},
          {"ID", m.id},
          {"Addr", ToJson(m.addr)},
          {"Port", m.port},
          {"SourceNode", ToJson(m.source_node)},
          {"Filters", ListToJson(m.filters, [](ByteView f) { return ToJson(f); })},
          {"Flags", m.flags},
          {"RelayFactor", m.relay_factor},
          {"Timeout", m.timeout_ns},
          {"Name", ToJson(m.name)},
          {"Payload", ToJson(m.payload)}};
}
json ToJson(const QueryResponseMessage& m) {
  return {{"LTime", ToJson(m.ltime)},
          {"ID", m.id},
          {"From", ToJson(m.from)},
          {"Flags", m.flags},
          {"Payload", ToJson(m.payload)}};
}
json ToJson(const RelayHeader& m) {
  return {{"DestAddr",
           {{"IP", ToJson(m.dest_addr.ip)},
            {"Port", m.dest_addr.port},
            {"Zone", ToJson(m.dest_addr.zone)}}},
          {"DestName", ToJson(m.dest_name)}};
}
json ToJson(const KeyRequest& m) { return {{"Key", ToJson(m.key)}}; }
json ToJson(const KeyResponse& m) {
  return {{"Result", m.result},
          {"Message", ToJson(m.message)},
          {"Keys", ToJson(m.keys)},
          {"PrimaryKey", ToJson(m.primary_key)}};
}
json ToJson(const ConflictResponse& m) {
  json tags;
  if (m.tags.is_present()) tags = json::object();
  m.tags.ForEach([&](const TagEntry& t) { tags[std::string(t.name)] = std::string(t.value); });
  return {{"member",
           {{"Name", ToJson(m.name)},
            {"Addr", ToJson(m.addr)},
            {"Port", m.port},
            {"Tags", tags},
            {"Status", m.status},
            {"ProtocolMin", m.protocol_min},
            {"ProtocolMax", m.protocol_max},
            {"ProtocolCur", m.protocol_cur},
            {"DelegateMin", m.delegate_min},
            {"DelegateMax", m.delegate_max},
            {"DelegateCur", m.delegate_cur}}}};
}
json ToJson(const PushPullState& m) {
  json status;
  if (m.status_ltimes.is_present()) status = json::object();
  m.status_ltimes.ForEach(
      [&](const StatusLTime& s) { status[std::string(s.node)] = s.ltime.value(); });
  const auto event = [](const RecentEvent& e) {
    return json{{"Name", ToJson(e.name)}, {"Payload", ToJson(e.payload)}};
  };
  const auto slot = [&](const EventSlot& s) {
    if (!s.used) return json();
    return json{{"LTime", ToJson(s.ltime)}, {"Events", ListToJson(s.events, event)}};
  };
  return {{"LTime", ToJson(m.ltime)},
          {"StatusLTimes", status},
          {"LeftMembers", ToJson(m.left_members)},
          {"EventLTime", ToJson(m.event_ltime)},
          {"Events", ListToJson(m.events, slot)},
          {"QueryLTime", ToJson(m.query_ltime)}};
}

struct Decoded {
  DecodeResult result = DecodeResult::kOk;
  std::size_t consumed = 0;
  json fields;
  ByteVector again;
};

template <typename Message>
Decoded DecodeAs(ByteView body) {
  Decoded decoded;
  DecodeScratch scratch;
  Message message;
  decoded.result = Decode(body, message, scratch);
  decoded.consumed = scratch.consumed();
  if (decoded.result != DecodeResult::kOk) return decoded;
  decoded.fields = ToJson(message);
  Encode(message, decoded.again);
  return decoded;
}

Decoded DecodeSerf(ByteView bytes) {
  const ByteView body = bytes.subspan(1);
  switch (static_cast<SerfMessageType>(bytes[0])) {
    case SerfMessageType::kLeave:
      return DecodeAs<LeaveMessage>(body);
    case SerfMessageType::kJoin:
      return DecodeAs<JoinMessage>(body);
    case SerfMessageType::kPushPull:
      return DecodeAs<PushPullState>(body);
    case SerfMessageType::kUserEvent:
      return DecodeAs<UserEventMessage>(body);
    case SerfMessageType::kQuery:
      return DecodeAs<QueryMessage>(body);
    case SerfMessageType::kQueryResponse:
      return DecodeAs<QueryResponseMessage>(body);
    case SerfMessageType::kConflictResponse:
      return DecodeAs<ConflictResponse>(body);
    case SerfMessageType::kKeyRequest:
      return DecodeAs<KeyRequest>(body);
    case SerfMessageType::kKeyResponse:
      return DecodeAs<KeyResponse>(body);
    case SerfMessageType::kRelay: {
      Decoded decoded = DecodeAs<RelayHeader>(body);
      decoded.fields["forwarded"] = {{"bytes", Hex(body.subspan(decoded.consumed))}};
      Append(decoded.again, body.subspan(decoded.consumed));
      decoded.consumed = body.size();
      return decoded;
    }
  }
  ADD_FAILURE() << "unknown type " << static_cast<int>(bytes[0]);
  return Decoded();
}

bool IsMessage(const json& vector) {
  const std::string name = vector["name"];
  return !name.starts_with("tags-") && !name.starts_with("filter-") && !name.starts_with("ping-");
}

TEST(SerfMessagesTest, VectorsInBothDirections) {
  // Present but empty bytes decode as absent ones; their encoding is checked below.
  const std::vector<std::string> once = {"user-event-empty-payload", "query-response-empty"};
  std::map<std::string, int> checked;
  for (const auto& vector : LoadVectors("serf.json")) {
    const std::string kind = vector["kind"];
    const std::string name = vector["name"];
    if (!IsMessage(vector) || kind == "reject" || kind == "hostile") continue;
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const Decoded got = DecodeSerf(bytes);
    ASSERT_EQ(got.result, DecodeResult::kOk) << DecodeResultName(got.result);
    for (const auto& [key, value] : vector["decoded"].items()) {
      if (key == "type" || key == "inner") continue;
      if (key == "member" && value.is_null()) continue;  // an unknown name: all zero
      EXPECT_EQ(got.fields.at(key), value) << key;
    }
    ++checked[kind];
    if (kind == "decode-only" || name == "conflict-response-unknown") continue;
    if (std::find(once.begin(), once.end(), name) != once.end()) continue;
    EXPECT_EQ(Hex(got.again), Hex(bytes));
  }
  EXPECT_EQ(checked["golden"], 49);
  EXPECT_EQ(checked["golden-unordered"], 1);
  EXPECT_EQ(checked["captured"], 31);
  EXPECT_EQ(checked["decode-only"], 19);
}

TEST(SerfMessagesTest, PresentButEmptyCanBeSent) {
  std::map<std::string, std::string> vectors;
  for (const auto& vector : LoadVectors("serf.json")) vectors[vector["name"]] = vector["hex"];
  ByteVector out;
  Encode(UserEventMessage{.ltime = LamportTime(4), .name = "restart", .payload = AsBytes("")}, out);
  EXPECT_EQ(Hex(out), vectors["user-event-empty-payload"]);
  out.clear();
  Encode(
      QueryResponseMessage{
          .ltime = LamportTime(42), .id = 1, .from = "node-b", .payload = AsBytes("")},
      out);
  EXPECT_EQ(Hex(out), vectors["query-response-empty"]);
  out.clear();
  Encode(KeyRequest{}, out);
  EXPECT_EQ(Hex(out), vectors["key-request-empty"]);
  out.clear();
  EncodeUnknownConflict(out);
  EXPECT_EQ(Hex(out), vectors["conflict-response-unknown"]);
}

TEST(SerfMessagesTest, RejectVectors) {
  int checked = 0;
  for (const auto& vector : LoadVectors("serf.json")) {
    if (!IsMessage(vector) || vector["kind"] != "reject") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const Decoded got = DecodeSerf(Unhex(vector["hex"].get<std::string>()));
    // A binary where text belongs may be accepted, as the newer codec does.
    EXPECT_EQ(got.result == DecodeResult::kOk, vector["name"] == "reject-bin-node");
    ++checked;
  }
  EXPECT_EQ(checked, 11);
}

// Messages with a hostile form are refused here; those with a hostile meaning are well-formed.
TEST(SerfMessagesTest, HostileVectors) {
  Rng rng(8);
  std::vector<HostileInput> inputs = HostileSerfMessages(rng, "a");
  for (const auto& vector : LoadVectors("serf.json")) {
    if (vector["kind"] != "hostile") continue;
    EXPECT_EQ(vector["name"], "hostile-nesting");
    inputs.push_back({vector["name"], Unhex(vector["hex"].get<std::string>())});
  }
  std::map<DecodeResult, int> results;
  for (const auto& [name, bytes] : inputs) {
    SCOPED_TRACE(name);
    const Decoded got = DecodeSerf(bytes);
    ++results[got.result];
    if (name.find("nest") != std::string::npos) {
      EXPECT_EQ(got.result, DecodeResult::kTooDeep);
    } else if (name.starts_with("announced-")) {
      // A value of another kind than the field's is refused before its length counts.
      EXPECT_TRUE(got.result == DecodeResult::kTruncated || got.result == DecodeResult::kBadType)
          << DecodeResultName(got.result);
    } else {
      EXPECT_EQ(got.result, DecodeResult::kOk) << DecodeResultName(got.result);
    }
    if (name == "empty-filter") {
      EXPECT_EQ(got.fields["Filters"], json::array({nullptr}));
    }
  }
  EXPECT_EQ(results[DecodeResult::kTooDeep], 2);
  EXPECT_GE(results[DecodeResult::kTruncated], 5);
}

TEST(SerfMessagesTest, FilterVectors) {
  int checked = 0;
  for (const auto& vector : LoadVectors("serf.json")) {
    const std::string name = vector["name"];
    if (!name.starts_with("filter-")) continue;
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const ByteView body = ByteView(bytes).subspan(1);
    const auto& decoded = vector["decoded"];
    DecodeScratch scratch;
    ByteVector again;
    if (static_cast<FilterType>(bytes[0]) == FilterType::kNode) {
      EXPECT_EQ(decoded["filter"], "node");
      NodeFilter filter;
      ASSERT_EQ(Decode(body, filter, scratch), DecodeResult::kOk);
      EXPECT_EQ(ToJson(filter), decoded["nodes"]);
      EncodeFilter(filter, again);
    } else {
      EXPECT_EQ(decoded["filter"], "tag");
      TagFilter filter;
      ASSERT_EQ(Decode(body, filter, scratch), DecodeResult::kOk);
      EXPECT_EQ(filter.tag, decoded["Tag"].get<std::string>());
      EXPECT_EQ(filter.expr, decoded["Expr"].get<std::string>());
      EncodeFilter(filter, again);
    }
    EXPECT_EQ(Hex(again), Hex(bytes));
    ++checked;
  }
  EXPECT_EQ(checked, 4);
}

TEST(SerfMessagesTest, TagVectors) {
  int checked = 0;
  for (const auto& vector : LoadVectors("serf.json")) {
    const std::string name = vector["name"];
    if (!name.starts_with("tags-")) continue;
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    std::map<std::string, std::string> tags;
    const DecodeResult result =
        DecodeTags(bytes, [&](absl::string_view tag, absl::string_view value) {
          tags[std::string(tag)] = std::string(value);
        });
    ++checked;
    if (name == "tags-decode-bin-value") {
      EXPECT_EQ(result, DecodeResult::kOk);  // more tolerant than the recorded codec
      EXPECT_EQ(json(tags), (json{{"role", "web"}}));
      continue;
    }
    EXPECT_EQ(result == DecodeResult::kOk, !vector["decoded"].contains("log"));
    EXPECT_EQ(json(tags), tags.empty() ? json(std::map<std::string, std::string>())
                                       : vector["decoded"]["tags"]);
    EXPECT_EQ(tags.size(), vector["decoded"]["tags"].size());
    if (vector["kind"] == "decode-only" || name.starts_with("tags-v2")) continue;
    // The test encodes the tags again, sorted; `golden` has at most one tag, so the bytes are the
    // same.
    std::vector<TagEntry> sorted;
    for (const auto& [tag, value] : tags) sorted.push_back({tag, value});
    ByteVector again;
    EncodeTags(ListView<TagEntry>(sorted), again);
    EXPECT_EQ(again.size(), bytes.size());
    if (vector["kind"] == "golden") {
      EXPECT_EQ(Hex(again), Hex(bytes));
    }
  }
  EXPECT_EQ(checked, 15);
  ByteVector none;
  EncodeTags(ListView<TagEntry>(), none);
  EXPECT_EQ(Hex(none), "ff80");
}

TEST(SerfMessagesTest, LamportTimesAreNotTruncated) {
  ByteVector out;
  Encode(JoinMessage{.ltime = LamportTime(~std::uint64_t{0}), .node = "n"}, out);
  DecodeScratch scratch;
  JoinMessage join;
  ASSERT_EQ(Decode(ByteView(out).subspan(1), join, scratch), DecodeResult::kOk);
  EXPECT_EQ(join.ltime, LamportTime(~std::uint64_t{0}));
}

// Byte lists within lists use the scratch element by element.
TEST(SerfMessagesTest, ByteListsInLists) {
  ByteVector body = Unhex("81a746696c74657273dc0190");  // {Filters: list of 400}
  for (int i = 0; i < 400; ++i) Append(body, Unhex("9400cc8001cc81"));
  DecodeScratch scratch;
  QueryMessage query;
  ASSERT_EQ(Decode(body, query, scratch), DecodeResult::kOk);
  ASSERT_EQ(query.filters.size(), 400u);
  int seen = 0;
  query.filters.ForEach([&](ByteView filter) {
    EXPECT_EQ(Hex(filter), "00800181");
    ++seen;
  });
  EXPECT_EQ(seen, 400);
}

}  // namespace
}  // namespace serf::wire
