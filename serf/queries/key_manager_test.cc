#include "serf/queries/key_manager.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/testing/node/serf_part.h"
#include "serf/wire/list_view.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using enum KeyOperation;

// A cluster of "self" and "a".
class KeyManagerTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  struct Asked {
    QueryId id;
    std::string name;
    std::string key;
    std::uint8_t relay_factor;
  };

  KeyManagerTest() { AddPeer("a"); }

  void Start(std::uint64_t request, KeyOperation operation, absl::string_view key = "",
             std::uint8_t relay_factor = 0) {
    keys_.Start(now_, RequestId(request), operation, AsBytes(key), relay_factor);
  }
  // The queries that went out since the last call.
  std::vector<Asked> TakeAsked() {
    std::vector<Asked> asked;
    for (const SerfContext::Message& sent : TakeSent()) {
      wire::DecodeScratch scratch;
      wire::QueryMessage query;
      EXPECT_EQ(Decode(ByteView(sent.bytes).subspan(1), query, scratch), wire::DecodeResult::kOk);
      wire::DecodeScratch inner;
      wire::KeyRequest request;
      EXPECT_EQ(Decode(query.payload.subspan(1), request, inner), wire::DecodeResult::kOk);
      asked.push_back({{query.ltime, query.id},
                       std::string(query.name),
                       std::string(AsText(request.key)),
                       query.relay_factor});
    }
    return asked;
  }
  QueryId TakeOnlyAsked() {
    const std::vector<Asked> asked = TakeAsked();
    EXPECT_THAT(asked, SizeIs(1));
    return asked.empty() ? QueryId() : asked.front().id;
  }
  void Answer(QueryId query, absl::string_view from, ByteView payload) {
    wire::QueryResponseMessage response;
    response.ltime = query.time;
    response.id = query.number;
    response.from = from;
    response.payload = payload;
    issuer_.OnResponse(now_, response);
    HandUpdates();
  }
  void Answer(QueryId query, absl::string_view from, const wire::KeyResponse& response = Yes()) {
    Answer(query, from, testkit::Encoded(response));
  }
  static wire::KeyResponse Yes() { return {.result = true}; }
  void HandUpdates() {
    issuer_.updates().Drain([&](const QueryUpdate& update) {
      if (!keys_.OnUpdate(now_, update)) others_.push_back(testkit::TextOf(update));
    });
  }
  void PassTo(Instant time) {
    now_ = time;
    issuer_.OnTimer(now_);
    HandUpdates();
  }
  // The operations that ended since the last call: "1: " and the status's text, or "ok".
  std::vector<std::string> TakeDone() {
    std::vector<std::string> lines;
    keys_.done().Drain([&](KeysDone done) {
      lines.push_back(
          absl::StrCat(done.request.value(), ": ",
                       done.outcome.status.ok() ? "ok" : done.outcome.status.message()));
      outcome_ = std::move(done.outcome);
    });
    return lines;
  }

  CheckedClock clock_{"queries", &log_, context_.counters};
  QueryIssuer issuer_{context_, clock_};
  KeyManager keys_{context_, issuer_};
  KeyOutcome outcome_;               // of the last operation of TakeDone()
  std::vector<std::string> others_;  // updates that do not belong to the key manager
};

TEST_F(KeyManagerTest, AnOperationIsAnInternalQuery) {
  const struct {
    KeyOperation operation;
    const char* name;
    const char* key;
    Duration runs;
  } kTable[] = {
      {kInstall, "_serf_install-key", "0123456789abcdef", KeyManager::kChangeTimeout},
      {kUse, "_serf_use-key", "0123456789abcdef", KeyManager::kChangeTimeout},
      {kRemove, "_serf_remove-key", "0123456789abcdef", KeyManager::kChangeTimeout},
      {kList, "_serf_list-keys", "", milliseconds(3200)},
  };
  for (const auto& row : kTable) {
    Start(1, row.operation, "0123456789abcdef", /*relay_factor=*/2);
    const std::vector<Asked> asked = TakeAsked();
    ASSERT_THAT(asked, SizeIs(1));
    EXPECT_EQ(asked[0].name, row.name);
    EXPECT_EQ(asked[0].key, row.key);
    EXPECT_EQ(asked[0].relay_factor, 2);
    EXPECT_EQ(issuer_.NextDeadline(), now_ + row.runs);
    for (const char* name : {"a", "self"}) Answer(asked[0].id, name);
    EXPECT_THAT(TakeDone(), ElementsAre("1: ok"));
  }
}

TEST_F(KeyManagerTest, AChangeWaitsAsLongAsAQueryOfALargeClusterTakes) {
  for (int i = 0; i < 998; ++i) AddPeer(absl::StrCat("n", i));
  ASSERT_GT(issuer_.DefaultTimeout(), KeyManager::kChangeTimeout);
  Start(1, kUse, "0123456789abcdef");
  EXPECT_EQ(issuer_.NextDeadline(), now_ + issuer_.DefaultTimeout());
}

TEST_F(KeyManagerTest, ItEndsWhenAllHaveAnsweredOrTheTimeIsOver) {
  Start(1, kList);
  QueryId query = TakeOnlyAsked();
  Answer(query, "a");
  EXPECT_THAT(TakeDone(), IsEmpty());
  Answer(query, "self");
  EXPECT_THAT(TakeDone(), ElementsAre("1: ok"));
  EXPECT_EQ(outcome_.nodes, 2u);
  EXPECT_EQ(outcome_.responses, 2u);
  Start(2, kList);
  query = TakeOnlyAsked();
  Answer(query, "a");
  PassTo(issuer_.NextDeadline());
  EXPECT_THAT(TakeDone(), ElementsAre("2: 1/2 nodes reported success"));
  EXPECT_EQ(outcome_.responses, 1u);
}

TEST_F(KeyManagerTest, ErrorsAreCountedByNodeAndSayMoreThanSilence) {
  AddPeer("b");
  Start(1, kUse, "0123456789abcdef");
  const QueryId query = TakeOnlyAsked();
  Answer(query, "a", {.result = false, .message = "no such key"});
  Answer(query, "b", {.result = true, .message = "a warning"});
  PassTo(issuer_.NextDeadline());
  EXPECT_THAT(TakeDone(), ElementsAre("1: 1/3 nodes reported failure"));
  EXPECT_EQ(outcome_.errors, 1u);
  EXPECT_EQ(outcome_.responses, 2u);
  EXPECT_THAT(outcome_.messages,
              UnorderedElementsAre(Pair("a", "no such key"), Pair("b", "a warning")));
  EXPECT_TRUE(log_.Has("[WARN] serf: a warning"));
}

TEST_F(KeyManagerTest, AnswersThatMakeNoSenseAreErrors) {
  ByteVector cut = testkit::Encoded(Yes());
  cut.pop_back();
  const ByteVector long_one(300, 1);
  const struct {
    ByteView payload;
    const char* beginning;
  } kTable[] = {
      {{}, "Invalid key query response type: []"},
      {AsBytes("\x01\x02"), "Invalid key query response type: [1 2]"},
      {long_one, "Invalid key query response type: [1 1 1"},
      {cut, "Failed to decode key query response: [8 "},
  };
  for (const auto& row : kTable) {
    Start(1, kList);
    const QueryId query = TakeOnlyAsked();
    Answer(query, "a", row.payload);
    Answer(query, "self");
    EXPECT_THAT(TakeDone(), ElementsAre("1: 1/2 nodes reported failure"));
    EXPECT_THAT(outcome_.messages["a"], ::testing::StartsWith(row.beginning));
    EXPECT_LT(outcome_.messages["a"].size(), 1024u);
  }
}

TEST_F(KeyManagerTest, KeysAddUpByNode) {
  const std::vector<absl::string_view> two = {"k1", "k2"};
  const std::vector<absl::string_view> one = {"k1"};
  Start(1, kList);
  const QueryId query = TakeOnlyAsked();
  wire::KeyResponse response = Yes();
  response.keys = wire::ListView<absl::string_view>(two);
  response.primary_key = "k2";
  Answer(query, "a", response);
  response.keys = wire::ListView<absl::string_view>(one);
  response.primary_key = "k1";
  Answer(query, "self", response);
  EXPECT_THAT(TakeDone(), ElementsAre("1: ok"));
  EXPECT_THAT(outcome_.keys, UnorderedElementsAre(Pair("k1", 2), Pair("k2", 1)));
  EXPECT_THAT(outcome_.primary_keys, UnorderedElementsAre(Pair("k1", 1), Pair("k2", 1)));
}

TEST_F(KeyManagerTest, KeysThatNoKeyringHoldsAreMadeUp) {
  std::vector<std::string> names = {std::string(45, 'x')};
  while (names.size() < wire::Keyring::kKeysMax + 9) {
    names.push_back(absl::StrCat("k", names.size()));
  }
  const std::vector<absl::string_view> views(names.begin(), names.end());
  Start(1, kList);
  const QueryId query = TakeOnlyAsked();
  wire::KeyResponse response = Yes();
  response.keys = wire::ListView<absl::string_view>(views);
  response.primary_key = names.front();
  Answer(query, "a", response);
  Answer(query, "self");
  TakeDone();
  EXPECT_THAT(outcome_.keys, SizeIs(wire::Keyring::kKeysMax - 1));
  EXPECT_THAT(outcome_.primary_keys,
              UnorderedElementsAre(Pair(std::string(44, 'x'), 1), Pair("", 1)));
}

// --- one after the other ---

TEST_F(KeyManagerTest, ListsRunTogetherAndChangesAlone) {
  Start(1, kList);
  Start(2, kList);
  Start(3, kInstall, "0123456789abcdef");
  Start(4, kList);
  std::vector<Asked> asked = TakeAsked();
  ASSERT_THAT(asked, SizeIs(2));
  for (const Asked& each : asked) {
    for (const char* name : {"a", "self"}) Answer(each.id, name);
  }
  EXPECT_THAT(TakeDone(), ElementsAre("1: ok", "2: ok"));
  asked = TakeAsked();
  ASSERT_THAT(asked, SizeIs(1));  // no list overtakes the change
  EXPECT_EQ(asked[0].name, "_serf_install-key");
  for (const char* name : {"a", "self"}) Answer(asked[0].id, name);
  EXPECT_THAT(TakeDone(), ElementsAre("3: ok"));
  asked = TakeAsked();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].name, "_serf_list-keys");
}

TEST_F(KeyManagerTest, OperationsThatWaitAreBounded) {
  Start(0, kUse, "0123456789abcdef");
  for (std::uint64_t i = 1; i <= KeyManager::kWaitingMax; ++i) Start(i, kUse, "0123456789abcdef");
  EXPECT_THAT(TakeDone(), IsEmpty());
  Start(999, kUse, "0123456789abcdef");
  EXPECT_THAT(TakeDone(), ElementsAre("999: too many key operations are waiting"));
  const QueryId query = TakeOnlyAsked();
  for (const char* name : {"a", "self"}) Answer(query, name);
  TakeDone();
  Start(1000, kUse, "0123456789abcdef");
  EXPECT_THAT(TakeDone(), IsEmpty());
}

TEST_F(KeyManagerTest, WhatCannotBeAskedEndsAtOnceAndTheNextBegins) {
  Start(1, kUse, "0123456789abcdef");
  const QueryId query = TakeOnlyAsked();
  Start(2, kUse, std::string(2000, 'x'));
  Start(3, kUse, "0123456789abcdef");
  for (const char* name : {"a", "self"}) Answer(query, name);
  EXPECT_THAT(TakeDone(), ElementsAre("1: ok", "2: query exceeds limit of 1024 bytes"));
  EXPECT_THAT(TakeAsked(), SizeIs(1));
}

// --- the end ---

TEST_F(KeyManagerTest, CancelEndsAllAndKeepsTheirUpdatesFromTheApplication) {
  Start(1, kUse, "0123456789abcdef");
  const QueryId query = TakeOnlyAsked();
  Start(2, kList);
  Answer(query, "a");
  keys_.Cancel(absl::CancelledError("Serf has been shut down"));
  EXPECT_THAT(TakeDone(), ElementsAre("2: Serf has been shut down", "1: Serf has been shut down"));
  EXPECT_EQ(outcome_.responses, 1u);
  issuer_.EndAll();
  HandUpdates();
  EXPECT_THAT(others_, IsEmpty());
  EXPECT_THAT(TakeDone(), IsEmpty());
}

TEST_F(KeyManagerTest, QueriesOfOthersAreNotItsOwn) {
  Start(1, kList);
  TakeSent();
  const absl::StatusOr<QueryId> query = issuer_.Send(now_, "uptime", "", {});
  ASSERT_TRUE(query.ok());
  Answer(*query, "a", AsBytes("x"));
  issuer_.Cancel(*query);
  HandUpdates();
  EXPECT_THAT(others_, ElementsAre("response a: x", "done"));
  EXPECT_THAT(TakeDone(), IsEmpty());
}

}  // namespace
}  // namespace serf
