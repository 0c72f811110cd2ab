#include "serf/queries/keyring_editor.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/lamport/checked_clock.h"
#include "serf/testing/node/serf_part.h"
#include "serf/wire/aead.h"

namespace serf {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using wire::LamportTime;
using enum KeyOperation;

ByteVector Key(std::uint8_t seed, std::size_t size = 16) { return ByteVector(size, seed); }

// Notes which keys it must forget, by their first byte.
class ForgettingAead final : public wire::Aead {
 public:
  bool Seal(ByteView, ByteView, ByteView, ByteView, std::uint8_t*) override { return false; }
  bool Open(ByteView, ByteView, ByteView, ByteView, std::uint8_t*) override { return false; }
  std::unique_ptr<wire::AeadStream> BeginSeal(ByteView, ByteView, ByteView) override {
    return nullptr;
  }
  std::unique_ptr<wire::AeadStream> BeginOpen(ByteView, ByteView, ByteView) override {
    return nullptr;
  }
  void Forget(ByteView key) override { forgotten.push_back(key.front()); }

  std::vector<int> forgotten;
};

// A node whose keyring has these keys; queries come from "a".
class KeyringEditorTest : public ::testing::Test, protected testkit::SerfPart {
 protected:
  static Config WithKeys(const std::vector<ByteVector>& keys, bool saved) {
    Config config = Quiet();
    config.swim.keyring = std::make_shared<wire::Keyring>();
    for (const ByteVector& key : keys) EXPECT_TRUE(config.swim.keyring->Add(key).ok());
    config.swim.aead = std::make_shared<ForgettingAead>();
    config.swim.verify_incoming = false;
    config.swim.verify_outgoing = false;
    config.keyring_is_saved = saved;
    return config;
  }
  explicit KeyringEditorTest(const std::vector<ByteVector>& keys = {Key(1), Key(2)},
                             bool saved = false)
      : SerfPart(WithKeys(keys, saved)) {
    AddPeer("a");
  }

  void Ask(KeyOperation operation, const ByteVector& key) {
    AskAt(++time_, operation, testkit::Encoded(wire::KeyRequest{.key = key}));
  }
  void AskAt(std::uint64_t time, KeyOperation operation, ByteView payload) {
    const Endpoint endpoint = testkit::Peers::EndpointOf("a");
    wire::QueryMessage query;
    query.ltime = LamportTime(time);
    query.id = 77;
    query.addr = endpoint.address.bytes();
    query.port = endpoint.port;
    query.source_node = "a";
    query.timeout_ns = Duration(seconds(3600)).count();
    query.name = KeyQueryName(operation);
    query.payload = payload;
    receiver_.OnMessage(now_, query);
    receiver_.queries().Drain(
        [&](const QueryEvent& event) { editor_.OnQuery(now_, operation, event); });
  }
  void Saved(std::uint64_t version, const absl::Status& status = absl::OkStatus()) {
    editor_.OnSaved(now_, version, status);
  }
  // The answers since the last call: "5: yes", "5: no, because". The keys of a list are in listed_.
  std::vector<std::string> TakeAnswers() {
    std::vector<std::string> answers;
    for (const SerfContext::Message& sent : TakeSent()) {
      EXPECT_LE(sent.bytes.size(), config_.query_response_size_limit);
      wire::DecodeScratch scratch;
      wire::QueryResponseMessage message;
      EXPECT_EQ(Decode(ByteView(sent.bytes).subspan(1), message, scratch), wire::DecodeResult::kOk);
      wire::DecodeScratch inner;
      wire::KeyResponse response;
      EXPECT_EQ(Decode(message.payload.subspan(1), response, inner), wire::DecodeResult::kOk);
      answers.push_back(absl::StrCat(message.ltime.value(), ": ", response.result ? "yes" : "no",
                                     response.message.empty() ? "" : ", ", response.message));
      listed_.clear();
      response.keys.ForEach([&](absl::string_view key) { listed_.emplace_back(key); });
      primary_ = std::string(response.primary_key);
    }
    return answers;
  }
  // The first bytes of the keys, the primary one first.
  std::vector<int> Ring() const {
    std::vector<int> ring;
    for (const auto& key : config_.swim.keyring->keys()) ring.push_back(key.front());
    return ring;
  }
  const std::vector<int>& forgotten() const {
    return static_cast<const ForgettingAead&>(*config_.swim.aead).forgotten;
  }

  CheckedClock clock_{"queries", &log_, context_.counters};
  QueryReceiver receiver_{context_, clock_};
  KeyringEditor editor_{context_, receiver_};
  std::uint64_t time_ = 4;
  std::vector<std::string> listed_;
  std::string primary_;
};

// --- at once ---

TEST_F(KeyringEditorTest, EachOperationChangesTheRingOrSaysWhyNot) {
  const struct {
    KeyOperation operation;
    ByteVector key;
    std::vector<int> ring;
    const char* answer;
  } kTable[] = {
      {kInstall, Key(3), {1, 2, 3}, "yes"},
      {kInstall, Key(3), {1, 2, 3}, "yes"},
      {kInstall, Key(4, 15), {1, 2, 3}, "no, "},
      {kUse, Key(3), {3, 1, 2}, "yes"},
      {kUse, Key(9), {3, 1, 2}, "no, Requested key is not in the keyring"},
      {kRemove, Key(3), {3, 1, 2}, "no, Removing the primary key is not allowed"},
      {kRemove, Key(1), {3, 2}, "yes"},
      {kRemove, Key(1), {3, 2}, "yes"},
  };
  for (const auto& row : kTable) {
    Ask(row.operation, row.key);
    EXPECT_EQ(Ring(), row.ring);
    const std::vector<std::string> answers = TakeAnswers();
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_TRUE(absl::StartsWith(answers[0], absl::StrCat(time_, ": ", row.answer))) << answers[0];
  }
  EXPECT_EQ(editor_.TakeSave(), std::nullopt);
}

TEST_F(KeyringEditorTest, ARemovedKeyIsForgottenByTheCipher) {
  Ask(kRemove, Key(1));  // the primary one stays
  EXPECT_THAT(forgotten(), IsEmpty());
  Ask(kRemove, Key(2));
  EXPECT_THAT(forgotten(), ElementsAre(2));
}

TEST_F(KeyringEditorTest, OfTwoPrimaryKeysTheLaterRequestWinsInWhateverOrderTheyCome) {
  Ask(kInstall, Key(3));
  TakeAnswers();
  AskAt(20, kUse, testkit::Encoded(wire::KeyRequest{.key = Key(3)}));
  AskAt(19, kUse, testkit::Encoded(wire::KeyRequest{.key = Key(2)}));
  AskAt(18, kUse, testkit::Encoded(wire::KeyRequest{.key = Key(3)}));  // already so
  EXPECT_THAT(Ring(), ElementsAre(3, 1, 2));
  EXPECT_THAT(TakeAnswers(),
              ElementsAre("20: yes", "19: no, A later request has made another key the primary one",
                          "18: yes"));
  AskAt(21, kUse, testkit::Encoded(wire::KeyRequest{.key = Key(2)}));
  EXPECT_THAT(Ring(), ElementsAre(2, 3, 1));
}

TEST_F(KeyringEditorTest, ARequestThatMakesNoSenseIsAnsweredWithNo) {
  for (const KeyOperation operation : {kInstall, kUse, kRemove}) {
    AskAt(++time_, operation, {});
    EXPECT_THAT(TakeAnswers(), ElementsAre(absl::StrCat(time_, ": no")));
  }
  EXPECT_THAT(Ring(), ElementsAre(1, 2));
}

// --- lists ---

TEST_F(KeyringEditorTest, AListHasThePrimaryKeyFirst) {
  Ask(kUse, Key(2));
  TakeAnswers();
  AskAt(++time_, kList, {});
  EXPECT_THAT(TakeAnswers(), ElementsAre("6: yes"));
  EXPECT_THAT(listed_,
              ElementsAre(absl::Base64Escape(AsText(Key(2))), absl::Base64Escape(AsText(Key(1)))));
  EXPECT_EQ(primary_, listed_.front());
}

TEST_F(KeyringEditorTest, ALongListIsCutToTheMostThatFits) {
  for (std::uint8_t seed = 3; seed <= 60; ++seed) Ask(kInstall, Key(seed, 32));
  TakeAnswers();
  AskAt(++time_, kList, {});
  const std::vector<std::string> answers = TakeAnswers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(absl::EndsWith(answers[0], absl::StrCat("truncated key list response, showing first ",
                                                      listed_.size(), " of 60 keys")))
      << answers[0];
  // One more key, of 44 letters and a head of two bytes, would not fit; nor would its answer.
  EXPECT_GT(listed_.size(), 15u);
  EXPECT_LT(listed_.size(), 24u);
  EXPECT_EQ(primary_, absl::Base64Escape(AsText(Key(1))));
}

TEST_F(KeyringEditorTest, AListForWhichThereIsNoRoomIsNotAnswered) {
  config_.query_response_size_limit = 60;
  AskAt(++time_, kList, {});
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  EXPECT_TRUE(log_.Has("[ERR] serf: Failed to truncate response so that it fits into message"));
}

// --- without encryption ---

class NoKeyringTest : public KeyringEditorTest {
 protected:
  NoKeyringTest() : KeyringEditorTest({}, /*saved=*/true) {}
};

TEST_F(NoKeyringTest, EveryOperationIsRefused) {
  for (const KeyOperation operation : {kInstall, kUse, kRemove}) {
    Ask(operation, Key(1));
    EXPECT_THAT(TakeAnswers(), ElementsAre(absl::StrCat(
                                   time_, ": no, No keyring to modify (encryption not enabled)")));
  }
  Ask(kList, {});
  EXPECT_THAT(TakeAnswers(),
              ElementsAre(absl::StrCat(time_, ": no, Keyring is empty (encryption not enabled)")));
  EXPECT_EQ(editor_.TakeSave(), std::nullopt);
}

// --- with a file ---

class SavedKeyringEditorTest : public KeyringEditorTest {
 protected:
  SavedKeyringEditorTest() : KeyringEditorTest({Key(1), Key(2)}, /*saved=*/true) {}

  const absl::Status full_ = absl::ResourceExhaustedError("no space left on device");
};

TEST_F(SavedKeyringEditorTest, AChangeIsInForceAtOnceAndAnsweredWhenItIsSaved) {
  Ask(kInstall, Key(3));
  EXPECT_THAT(Ring(), ElementsAre(1, 2, 3));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  EXPECT_EQ(editor_.TakeSave(), 1u);
  EXPECT_EQ(editor_.TakeSave(), std::nullopt);
  Saved(1);
  EXPECT_THAT(TakeAnswers(), ElementsAre("5: yes"));
}

TEST_F(SavedKeyringEditorTest, OneSaveIsUnderWayAndTheNextCoversAllThatCameMeanwhile) {
  Ask(kInstall, Key(3));
  EXPECT_EQ(editor_.TakeSave(), 1u);
  Ask(kInstall, Key(4));
  Ask(kUse, Key(4));
  EXPECT_EQ(editor_.TakeSave(), std::nullopt);
  Saved(1);
  EXPECT_THAT(TakeAnswers(), ElementsAre("5: yes"));
  EXPECT_EQ(editor_.TakeSave(), 2u);
  Saved(2);
  EXPECT_THAT(TakeAnswers(), ElementsAre("6: yes", "7: yes"));
  EXPECT_EQ(editor_.TakeSave(), std::nullopt);
}

TEST_F(SavedKeyringEditorTest, AFailedSaveIsUndoneInRingCipherAndOrder) {
  Ask(kInstall, Key(3));
  editor_.TakeSave();
  Saved(1, full_);
  EXPECT_THAT(Ring(), ElementsAre(1, 2));
  EXPECT_THAT(forgotten(), ElementsAre(3));
  EXPECT_THAT(TakeAnswers(), ElementsAre("5: no, no space left on device"));
  Ask(kUse, Key(2));
  editor_.TakeSave();
  Saved(2, full_);
  EXPECT_EQ(config_.swim.keyring->primary().front(), 1);
  // The request that made it the primary key does not count either.
  TakeAnswers();
  AskAt(4, kUse, testkit::Encoded(wire::KeyRequest{.key = Key(2)}));
  EXPECT_EQ(editor_.TakeSave(), 3u);
  Saved(3);
  EXPECT_THAT(TakeAnswers(), ElementsAre("4: yes"));
  Ask(kRemove, Key(1));
  editor_.TakeSave();
  Saved(4, full_);
  EXPECT_THAT(Ring(), ElementsAre(2, 1));
}

TEST_F(SavedKeyringEditorTest, WhatCameDuringAFailedSaveIsDoneAgainIfItStillCanBe) {
  Ask(kInstall, Key(3));
  editor_.TakeSave();
  Ask(kUse, Key(3));      // for the key that will be missing
  Ask(kInstall, Key(4));  // is independent of it
  Saved(1, full_);
  EXPECT_THAT(Ring(), ElementsAre(1, 2, 4));
  EXPECT_THAT(TakeAnswers(), ElementsAre("6: no, Requested key is not in the keyring",
                                         "5: no, no space left on device"));
  EXPECT_EQ(editor_.TakeSave(), 2u);
  Saved(2);
  EXPECT_THAT(TakeAnswers(), ElementsAre("7: yes"));
}

TEST_F(SavedKeyringEditorTest, SavesThatNobodyAskedForAreIgnored) {
  Saved(0);
  Saved(1, full_);
  Ask(kInstall, Key(3));
  Saved(2, full_);
  Saved(0);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Saved(1);
  Saved(1, full_);
  EXPECT_THAT(TakeAnswers(), ElementsAre("5: yes"));
  EXPECT_THAT(Ring(), ElementsAre(1, 2, 3));
}

TEST_F(SavedKeyringEditorTest, ChangesThatWaitAreBounded) {
  for (std::size_t i = 0; i < KeyringEditor::kChangesMax; ++i) Ask(kUse, Key(1));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Ask(kUse, Key(2));
  EXPECT_THAT(TakeAnswers(), ElementsAre(absl::StrCat(time_, ": no, too many key operations")));
  EXPECT_THAT(Ring(), ElementsAre(1, 2));
  Saved(1);  // the first of them
  TakeAnswers();
  Ask(kUse, Key(2));
  EXPECT_THAT(Ring(), ElementsAre(2, 1));
}

TEST_F(SavedKeyringEditorTest, WhatChangesNothingWaitsForNoSave) {
  Ask(kRemove, Key(1));
  AskAt(++time_, kList, {});
  EXPECT_THAT(TakeAnswers(),
              ElementsAre("5: no, Removing the primary key is not allowed", "6: yes"));
  EXPECT_EQ(editor_.TakeSave(), std::nullopt);
}

}  // namespace
}  // namespace serf
