// Key operations on both sides: how a node handles a key query, and how it handles the answers to
// its own.

#include "serf/keys.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/queries/key_manager.h"
#include "serf/serf.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/aead.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using testkit::LoneSerf;
using wire::LamportTime;
using enum KeyOperation;

ByteVector Key(std::uint8_t seed, std::size_t size = 16) { return ByteVector(size, seed); }
std::string Base64(const ByteVector& key) { return absl::Base64Escape(AsText(key)); }

// Encrypted, but packets are in the clear, so that the test can read them.
Config Encrypted() {
  Config config = LoneSerf::DefaultConfig();
  testkit::Encrypt(config.swim, Key(1));
  config.swim.verify_incoming = false;
  config.swim.verify_outgoing = false;
  config.swim.enable_compression = false;
  return config;
}

// --- on this node ---

class KeyringTest : public ::testing::Test {
 protected:
  explicit KeyringTest(Config config = Encrypted())
      : keyring_(config.swim.keyring), self_(std::move(config)) {
    self_.PeerAlive("a");
    self_.RunFor(seconds(5));
    self_.TakePackets();
  }

  // The answers to key queries since the last call: "1", "0 message", "1 message key,key primary".
  std::vector<std::string> Answers() {
    std::vector<std::string> answers;
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      wire::DecodeScratch scratch;
      wire::QueryResponseMessage response;
      wire::KeyResponse key;
      if (packet.bytes.size() < 2 || packet.bytes[1] != 5) continue;
      EXPECT_EQ(Decode(ByteView(packet.bytes).subspan(2), response, scratch),
                wire::DecodeResult::kOk);
      EXPECT_LE(packet.bytes.size() - 1, 1024u);
      EXPECT_FALSE(response.payload.empty());
      wire::DecodeScratch inner;
      EXPECT_EQ(Decode(response.payload.subspan(1), key, inner), wire::DecodeResult::kOk);
      std::string line =
          absl::StrCat(key.result ? "1" : "0", key.message.empty() ? "" : " ", key.message);
      if (key.keys.is_present()) {
        std::vector<std::string> keys;
        key.keys.ForEach([&](absl::string_view each) { keys.emplace_back(each); });
        listed_ = keys;
        absl::StrAppend(&line, " primary ", key.primary_key);
      }
      answers.push_back(line);
    }
    return answers;
  }
  void Ask(KeyOperation operation, ByteView payload, std::uint32_t number = 77) {
    wire::QueryMessage query;
    query.ltime = LamportTime(++time_);
    query.id = number;
    const Endpoint endpoint = LoneSerf::EndpointOf("a");
    query.addr = endpoint.address.bytes();
    query.port = endpoint.port;
    query.source_node = "a";
    query.flags = wire::kQueryFlagNoBroadcast;
    query.timeout_ns = Duration(seconds(3600)).count();
    query.name = KeyQueryName(operation);
    query.payload = payload;
    self_.Receive(query);
  }
  void AskKey(KeyOperation operation, ByteView key, std::uint32_t number = 77) {
    ByteVector payload;
    Encode(wire::KeyRequest{.key = key}, payload);
    Ask(operation, payload, number);
  }
  std::vector<ByteVector> Ring() const {
    const auto keys = keyring_->keys();
    return {keys.begin(), keys.end()};
  }

  std::shared_ptr<wire::Keyring> keyring_;
  LoneSerf self_;
  std::uint64_t time_ = 0;
  std::vector<std::string> listed_;
};

TEST_F(KeyringTest, ARotation) {
  AskKey(kInstall, Key(2));
  EXPECT_THAT(Answers(), ElementsAre("1"));
  EXPECT_THAT(Ring(), ElementsAre(Key(1), Key(2)));
  EXPECT_TRUE(self_.log().Has("[INFO] serf: Received install-key query"));
  AskKey(kUse, Key(2));
  EXPECT_THAT(Answers(), ElementsAre("1"));
  EXPECT_THAT(Ring(), ElementsAre(Key(2), Key(1)));
  AskKey(kRemove, Key(1));
  EXPECT_THAT(Answers(), ElementsAre("1"));
  EXPECT_THAT(Ring(), ElementsAre(Key(2)));
  AskKey(kList, {});
  EXPECT_THAT(Answers(), ElementsAre(absl::StrCat("1 primary ", Base64(Key(2)))));
  EXPECT_THAT(listed_, ElementsAre(Base64(Key(2))));
  EXPECT_TRUE(self_.log().Has("[INFO] serf: Received list-keys query"));
  EXPECT_THAT(self_.TakeKeyringSaves(), IsEmpty());
}

TEST_F(KeyringTest, WhatIsDoneAlreadySucceeds) {
  AskKey(kInstall, Key(1));
  AskKey(kUse, Key(1));
  AskKey(kRemove, Key(9));
  EXPECT_THAT(Answers(), ElementsAre("1", "1", "1"));
  EXPECT_THAT(Ring(), ElementsAre(Key(1)));
}

TEST_F(KeyringTest, ErrorsSayWhy) {
  AskKey(kInstall, Key(2, 15));
  AskKey(kUse, Key(9));
  AskKey(kRemove, Key(1));
  EXPECT_THAT(Answers(), ElementsAre("0 key size must be 16, 24 or 32 bytes",
                                     "0 Requested key is not in the keyring",
                                     "0 Removing the primary key is not allowed"));
  EXPECT_TRUE(self_.log().Has(
      "[ERR] serf: Failed to change primary key: Requested key is not in the keyring"));
  EXPECT_TRUE(
      self_.log().Has("[ERR] serf: Failed to remove key: Removing the primary key is not allowed"));
  EXPECT_THAT(Ring(), ElementsAre(Key(1)));
}

TEST_F(KeyringTest, NonsenseIsAnsweredWithFalse) {
  for (const KeyOperation operation : {kInstall, kUse, kRemove}) {
    Ask(operation, {});
    Ask(operation, ByteVector{7});
    Ask(operation, ByteVector{7, 0xc1});
    EXPECT_THAT(Answers(), ElementsAre("0", "0", "0"));
  }
  EXPECT_TRUE(self_.log().Contains("[ERR] serf: Failed to decode key request: "));
}

TEST_F(KeyringTest, AListIsCutToWhatFits) {
  // With a limit of 1024 bytes and a name of four letters.
  for (std::uint8_t i = 2; i <= 60; ++i) ASSERT_TRUE(keyring_->Add(Key(i)).ok());
  AskKey(kList, {});
  const std::vector<std::string> answers = Answers();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0], absl::StrCat("1 truncated key list response, showing first ",
                                     listed_.size(), " of 60 keys primary ", Base64(Key(1))));
  EXPECT_EQ(listed_.size(), 34u);
  EXPECT_EQ(listed_[33], Base64(Key(34)));
  EXPECT_TRUE(self_.log().Contains("[WARN] serf: truncated key list response"));
}

// The first guess of how many keys fit may be too high.
TEST_F(KeyringTest, AListOfAFewLongKeysIsCutToo) {
  for (std::uint8_t i = 2; i <= 25; ++i) ASSERT_TRUE(keyring_->Add(Key(i, 32)).ok());
  AskKey(kList, {});
  ASSERT_THAT(Answers(), SizeIs(1));
  EXPECT_EQ(listed_.size(), 18u);
}

// Two operators at once: all nodes end with the key of the later request, by time and then by
// number.
TEST_F(KeyringTest, OfTwoPrimaryKeysTheLaterRequestWins) {
  struct Request {
    std::uint64_t time;
    std::uint32_t number;
    std::uint8_t key;
  };
  const auto use = [this](const Request& request) {
    time_ = request.time - 1;
    AskKey(kUse, Key(request.key), request.number);
  };
  for (std::uint8_t i = 2; i <= 3; ++i) ASSERT_TRUE(keyring_->Add(Key(i)).ok());
  use({5, 1, 2});
  use({5, 9, 3});
  EXPECT_THAT(Answers(), ElementsAre("1", "1"));
  EXPECT_EQ(Ring().front(), Key(3));
  // The other way round: the earlier request comes too late, and its answer says so.
  use({7, 9, 2});
  use({7, 1, 1});
  use({6, 50, 1});
  EXPECT_THAT(Answers(), ElementsAre("1", "0 A later request has made another key the primary one",
                                     "0 A later request has made another key the primary one"));
  EXPECT_EQ(Ring().front(), Key(2));
  // The keyring already has what the request wants.
  use({4, 1, 2});
  EXPECT_THAT(Answers(), ElementsAre("1"));
}

class SavedKeyringTest : public KeyringTest {
 protected:
  static Config Saved() {
    Config config = Encrypted();
    config.keyring_is_saved = true;
    return config;
  }
  SavedKeyringTest() : KeyringTest(Saved()) {}
};

TEST_F(SavedKeyringTest, TheAnswerWaitsForTheFile) {
  AskKey(kInstall, Key(2));
  EXPECT_THAT(Answers(), IsEmpty());
  const std::vector<KeyringSave> saves = self_.TakeKeyringSaves();
  ASSERT_THAT(saves, SizeIs(1));
  EXPECT_THAT(saves[0].keys, ElementsAre(Key(1), Key(2)));
  // Another change while the driver writes the file is in force at once, and is written next.
  AskKey(kUse, Key(2));
  EXPECT_THAT(Ring(), ElementsAre(Key(2), Key(1)));
  EXPECT_THAT(self_.TakeKeyringSaves(), IsEmpty());
  self_.KeyringSaved(saves[0].version, absl::OkStatus());
  EXPECT_THAT(Answers(), ElementsAre("1"));
  const std::vector<KeyringSave> more = self_.TakeKeyringSaves();
  ASSERT_THAT(more, SizeIs(1));
  EXPECT_THAT(more[0].keys, ElementsAre(Key(2), Key(1)));
  self_.KeyringSaved(more[0].version, absl::PermissionDeniedError("open k: permission denied"));
  EXPECT_THAT(Answers(), ElementsAre("0 open k: permission denied"));
  EXPECT_TRUE(
      self_.log().Has("[ERR] serf: Failed to write keyring file: open k: permission denied"));
}

TEST_F(SavedKeyringTest, OneSaveMayAnswerSeveral) {
  AskKey(kInstall, Key(2));
  AskKey(kInstall, Key(3));
  AskKey(kInstall, Key(4));
  self_.KeyringSaved(self_.TakeKeyringSaves().back().version, absl::OkStatus());
  EXPECT_THAT(Answers(), ElementsAre("1"));
  const std::vector<KeyringSave> saves = self_.TakeKeyringSaves();
  ASSERT_THAT(saves, SizeIs(1));
  EXPECT_THAT(saves[0].keys, ElementsAre(Key(1), Key(2), Key(3), Key(4)));
  self_.KeyringSaved(saves[0].version, absl::OkStatus());
  EXPECT_THAT(Answers(), ElementsAre("1", "1"));
}

// Memory and file are the same again after any change.
TEST_F(SavedKeyringTest, WhatCouldNotBeSavedIsUndone) {
  for (std::uint8_t i = 2; i <= 3; ++i) ASSERT_TRUE(keyring_->Add(Key(i)).ok());
  const struct {
    KeyOperation operation;
    ByteVector key;
  } kCases[] = {{kInstall, Key(4)}, {kUse, Key(3)}, {kRemove, Key(2)}};
  for (const auto& c : kCases) {
    const std::vector<ByteVector> before = Ring();
    AskKey(c.operation, c.key);
    EXPECT_NE(Ring(), before);
    self_.KeyringSaved(self_.TakeKeyringSaves().back().version,
                       absl::ResourceExhaustedError("no space left on device"));
    EXPECT_THAT(Answers(), ElementsAre("0 no space left on device"));
    EXPECT_THAT(Ring(), UnorderedElementsAre(Key(1), Key(2), Key(3)));
    EXPECT_EQ(Ring().front(), Key(1));
  }
}

// Changes that came during a failed save are made again without it, if they can be.
TEST_F(SavedKeyringTest, WhatCameDuringAFailedSaveIsMadeAnew) {
  AskKey(kInstall, Key(2));
  const std::uint64_t version = self_.TakeKeyringSaves().back().version;
  AskKey(kUse, Key(2));
  AskKey(kInstall, Key(3));
  self_.KeyringSaved(version, absl::UnavailableError("input/output error"));
  EXPECT_THAT(Answers(),
              ElementsAre("0 Requested key is not in the keyring", "0 input/output error"));
  EXPECT_THAT(Ring(), ElementsAre(Key(1), Key(3)));
  const std::vector<KeyringSave> saves = self_.TakeKeyringSaves();
  ASSERT_THAT(saves, SizeIs(1));
  EXPECT_THAT(saves[0].keys, ElementsAre(Key(1), Key(3)));
  self_.KeyringSaved(saves[0].version, absl::OkStatus());
  EXPECT_THAT(Answers(), ElementsAre("1"));
}

TEST_F(SavedKeyringTest, AnswersToNothingAreIgnored) {
  self_.KeyringSaved(7, absl::UnavailableError("nothing"));
  AskKey(kInstall, Key(2));
  const std::uint64_t version = self_.TakeKeyringSaves().back().version;
  self_.KeyringSaved(version + 1, absl::UnavailableError("nothing"));
  EXPECT_THAT(Answers(), IsEmpty());
  self_.KeyringSaved(version, absl::OkStatus());
  EXPECT_THAT(Answers(), ElementsAre("1"));
}

// A disk that takes longer than the usual timeout of a query.
TEST_F(SavedKeyringTest, ALateAnswerIsTheTruthStill) {
  AskKey(kInstall, Key(2));
  self_.RunFor(seconds(7));
  self_.TakePackets();
  self_.KeyringSaved(self_.TakeKeyringSaves().back().version, absl::OkStatus());
  EXPECT_THAT(Answers(), ElementsAre("1"));
}

TEST_F(SavedKeyringTest, FailuresAndListsSaveNothing) {
  AskKey(kUse, Key(9));
  AskKey(kList, {});
  EXPECT_THAT(self_.TakeKeyringSaves(), IsEmpty());
  EXPECT_THAT(Answers(), SizeIs(2));
}

class PlainTest : public KeyringTest {
 protected:
  static Config Plain() {
    Config config = LoneSerf::DefaultConfig();
    config.swim.enable_compression = false;
    return config;
  }
  PlainTest() : KeyringTest(Plain()) {}
};

TEST_F(PlainTest, ThereIsNoKeyring) {
  AskKey(kInstall, Key(2));
  AskKey(kList, {});
  EXPECT_THAT(Answers(), ElementsAre("0 No keyring to modify (encryption not enabled)",
                                     "0 Keyring is empty (encryption not enabled)"));
  EXPECT_TRUE(self_.log().Has("[ERR] serf: No keyring to modify (encryption not enabled)"));
}

// --- for the cluster ---

class KeyManagerTest : public ::testing::Test {
 protected:
  KeyManagerTest() : self_(Encrypted()) {
    self_.PeerAlive("a");
    self_.PeerAlive("b");
    self_.RunFor(seconds(5));
  }
  // The answer of a node to the query of this number (1, 2, ...).
  void Say(absl::string_view node, const wire::KeyResponse& response) {
    ByteVector payload;
    Encode(response, payload);
    SayBytes(node, payload);
  }
  void SayBytes(absl::string_view node, ByteView payload) {
    wire::QueryResponseMessage message;
    message.ltime = LamportTime(query_time_);
    message.id = QueryNumber();
    message.from = node;
    message.payload = payload;
    self_.Receive(message);
  }
  // The number is random; the test finds it in the gossip.
  std::uint32_t QueryNumber() {
    self_.RunFor(milliseconds(100));
    for (const LoneSerf::Packet& packet : self_.TakePackets()) {
      const absl::string_view bytes = AsText(packet.bytes);
      const std::size_t at = bytes.find(
          "\x8b\xa4"
          "Addr");
      if (at == absl::string_view::npos) continue;
      wire::DecodeScratch scratch;
      wire::QueryMessage query;
      const ByteView body = ByteView(packet.bytes).subspan(at);
      if (Decode(body, query, scratch) == wire::DecodeResult::kOk &&
          query.ltime == LamportTime(query_time_)) {
        number_ = query.id;
      }
    }
    return number_;
  }

  LoneSerf self_;
  std::uint64_t query_time_ = 1;
  std::uint32_t number_ = 0;
};

TEST_F(KeyManagerTest, SucceedsAsSoonAsAllHaveDoneIt) {
  const RequestId request = self_.ManageKeys(kInstall, Key(2));
  Say("a", {.result = true});
  EXPECT_EQ(self_.Result(request), "pending");
  Say("b", {.result = true});
  EXPECT_EQ(self_.Result(request), "ok");
  EXPECT_EQ(self_.Keys(request).nodes, 3u);
  EXPECT_EQ(self_.Keys(request).responses, 3u);
  EXPECT_THAT(self_.Keys(request).messages, IsEmpty());
  EXPECT_THAT(self_.TakeUpdates(), IsEmpty());  // not for the application
}

TEST_F(KeyManagerTest, ErrorsAreToldByNode) {
  const RequestId request = self_.ManageKeys(kUse, Key(9));
  Say("a", {.result = true, .message = "beware"});
  SayBytes("b", ByteVector{5, 6});
  EXPECT_EQ(self_.Result(request), "2/3 nodes reported failure");
  EXPECT_THAT(self_.Keys(request).messages,
              ElementsAre(Pair("a", "beware"), Pair("b", "Invalid key query response type: [5 6]"),
                          Pair("self", "Requested key is not in the keyring")));
  EXPECT_EQ(self_.Keys(request).errors, 2u);
  EXPECT_TRUE(self_.log().Has("[WARN] serf: beware"));
}

TEST_F(KeyManagerTest, UndecodableAnswersAreErrors) {
  const RequestId request = self_.ManageKeys(kInstall, Key(2));
  SayBytes("a", ByteVector{8, 0xc1});
  SayBytes("b", {});
  EXPECT_EQ(self_.Result(request), "2/3 nodes reported failure");
  EXPECT_THAT(self_.Keys(request).messages,
              ElementsAre(Pair("a", "Failed to decode key query response: [8 193]"),
                          Pair("b", "Invalid key query response type: []")));
}

// A list is written nowhere. A change goes to the disks of all nodes and may take longer.
TEST_F(KeyManagerTest, SilenceIsToldAtTheEnd) {
  const RequestId list = self_.ManageKeys(kList);
  self_.RunFor(seconds(4));
  EXPECT_EQ(self_.Result(list), "1/3 nodes reported success");
  ++query_time_;
  const RequestId request = self_.ManageKeys(kInstall, Key(2));
  Say("a", {.result = true});
  self_.RunFor(seconds(7));
  EXPECT_EQ(self_.Result(request), "pending");
  self_.RunFor(seconds(1));
  EXPECT_EQ(self_.Result(request), "2/3 nodes reported success");
}

TEST_F(KeyManagerTest, ListsAddUp) {
  const RequestId request = self_.ManageKeys(kList);
  const std::string own = Base64(Key(1));
  const std::string other = Base64(Key(2));
  const std::vector<absl::string_view> keys = {other, own};
  Say("a", {.result = true, .keys = wire::ListView<absl::string_view>(keys), .primary_key = other});
  Say("b", {.result = true, .keys = wire::ListView<absl::string_view>(keys)});
  EXPECT_EQ(self_.Result(request), "ok");
  EXPECT_THAT(self_.Keys(request).keys, ElementsAre(Pair(own, 3u), Pair(other, 2u)));
  EXPECT_THAT(self_.Keys(request).primary_keys,
              ElementsAre(Pair("", 1u), Pair(own, 1u), Pair(other, 1u)));
}

TEST_F(KeyManagerTest, ChangesWaitForEachOtherButListsDoNot) {
  const RequestId first = self_.ManageKeys(kList);
  const RequestId second = self_.ManageKeys(kList);
  const RequestId third = self_.ManageKeys(kInstall, Key(2));
  const RequestId fourth = self_.ManageKeys(kList);
  EXPECT_EQ(self_.Stat("query_time"), "3");
  self_.RunFor(seconds(4));
  EXPECT_NE(self_.Result(first), "pending");
  EXPECT_NE(self_.Result(second), "pending");
  EXPECT_EQ(self_.Result(third), "pending");
  EXPECT_EQ(self_.Stat("query_time"), "4");
  self_.RunFor(KeyManager::kChangeTimeout + seconds(1));
  EXPECT_EQ(self_.Result(third), "1/3 nodes reported success");
  EXPECT_EQ(self_.Result(fourth), "pending");
  self_.Shutdown();
  EXPECT_EQ(self_.Result(fourth), "Serf has been shut down");
  EXPECT_EQ(self_.Result(self_.ManageKeys(kList)), "Serf has been shut down");
}

}  // namespace
}  // namespace serf
