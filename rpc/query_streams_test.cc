#include "serf/rpc/query_streams.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "msgpack/sbuffer.hpp"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/query.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/protocol.h"
#include "serf/wire/ids.h"

namespace serf::rpc {
namespace {

using nlohmann::json;
using Kind = QueryUpdate::Kind;

QueryUpdate Update(Kind kind, std::string from = "", std::string payload = "") {
  QueryUpdate update;
  update.kind = kind;
  update.from = std::move(from);
  update.payload = std::move(payload);
  return update;
}

// What a round writes: "2 ack alpha".
std::vector<std::string> Round(QueryStreams& streams) {
  msgpack::sbuffer out;
  const bool wrote = streams.WriteRound(out);
  EXPECT_EQ(wrote, out.size() > 0);
  std::vector<std::string> texts;
  std::vector<json> objects;
  for (ByteView rest = ViewOf(out); !rest.empty();) {
    ObjectScanner scanner;
    EXPECT_EQ(scanner.Scan(rest, kReplySizeMax), ObjectScanner::Result::kComplete);
    const ByteView object = rest.first(scanner.size());
    objects.push_back(json::from_msgpack(object.begin(), object.end()));
    rest = rest.subspan(scanner.size());
  }
  for (std::size_t i = 0; i + 1 < objects.size(); i += 2) {
    EXPECT_EQ(objects[i]["Error"], "");
    texts.push_back(objects[i]["Seq"].dump() + " " + objects[i + 1]["Type"].get<std::string>() +
                    " " + objects[i + 1]["From"].get<std::string>());
  }
  return texts;
}

QueryId Id(std::uint64_t time) { return {wire::LamportTime(time), 7}; }

using Texts = std::vector<std::string>;

TEST(QueryStreamsTest, AnswersFollowTheReply) {
  QueryStreams streams;
  const QueryStreams::Key key = streams.Add(2);
  EXPECT_TRUE(streams.Push(key, Update(Kind::kAck, "alpha")));
  EXPECT_EQ(Round(streams), Texts{});
  streams.Start(key, Id(1));
  EXPECT_EQ(Round(streams), Texts{"2 ack alpha"});
  EXPECT_EQ(Round(streams), Texts{});
  EXPECT_FALSE(streams.empty());
}

TEST(QueryStreamsTest, DoneIsTheEnd) {
  QueryStreams streams;
  const QueryStreams::Key key = streams.Add(2);
  streams.Start(key, Id(1));
  streams.Push(key, Update(Kind::kResponse, "alpha", "up"));
  streams.Push(key, Update(Kind::kDone));
  EXPECT_EQ(Round(streams), Texts{"2 response alpha"});
  EXPECT_EQ(Round(streams), Texts{"2 done "});
  EXPECT_TRUE(streams.empty());
  EXPECT_TRUE(streams.Push(key, Update(Kind::kAck, "beta")));
  streams.Start(key, Id(1));
  EXPECT_EQ(Round(streams), Texts{});
}

TEST(QueryStreamsTest, QueriesTakeTurnsAndMayShareANumber) {
  QueryStreams streams;
  const QueryStreams::Key one = streams.Add(2);
  const QueryStreams::Key two = streams.Add(2);
  streams.Start(one, Id(1));
  streams.Start(two, Id(1));
  for (const char* const name : {"a", "b"}) streams.Push(one, Update(Kind::kAck, name));
  streams.Push(two, Update(Kind::kDone));
  EXPECT_EQ(Round(streams), (Texts{"2 ack a", "2 done "}));
  EXPECT_EQ(Round(streams), Texts{"2 ack b"});
}

TEST(QueryStreamsTest, RefusedQueriesLeaveNothing) {
  QueryStreams streams;
  const QueryStreams::Key key = streams.Add(2);
  streams.Push(key, Update(Kind::kAck, "a"));
  streams.Remove(key);
  streams.Remove(key);
  EXPECT_TRUE(streams.empty());
  EXPECT_EQ(Round(streams), Texts{});
}

TEST(QueryStreamsTest, Bounds) {
  QueryStreams streams;
  for (std::size_t i = 0; i < kQueriesMax; ++i) {
    EXPECT_FALSE(streams.full());
    streams.Add(i);
  }
  EXPECT_TRUE(streams.full());
  streams.Remove(1);
  EXPECT_FALSE(streams.full());
  // Written answers make room again, and so do removed ones.
  const std::string large(std::size_t{1} << 20, 'x');
  std::size_t count = 0;
  while (streams.Push(2, Update(Kind::kResponse, "a", large))) ++count;
  EXPECT_EQ(count, kAnswersWaitingMax / (large.size() + sizeof(QueryUpdate) + 1));
  streams.Start(2, Id(1));
  Round(streams);
  Round(streams);
  EXPECT_TRUE(streams.Push(3, Update(Kind::kResponse, "a", large)));
  EXPECT_FALSE(streams.Push(3, Update(Kind::kResponse, "a", large)));
  streams.Remove(2);
  EXPECT_TRUE(streams.Push(3, Update(Kind::kResponse, "a", large)));
}

TEST(QueryStreamsTest, EndOfTheConnection) {
  QueryStreams streams;
  const QueryStreams::Key first = streams.Add(2);
  const QueryStreams::Key second = streams.Add(3);
  const QueryStreams::Key asked = streams.Add(4);
  const QueryStreams::Key done = streams.Add(5);
  EXPECT_TRUE(streams.Start(first, Id(1)));
  EXPECT_TRUE(streams.Start(second, Id(2)));
  EXPECT_TRUE(streams.Start(done, Id(3)));
  streams.Push(done, Update(Kind::kDone));
  streams.Push(first, Update(Kind::kAck, "alpha"));
  Round(streams);
  EXPECT_EQ(streams.TakeAll(), (std::vector<QueryId>{Id(1), Id(2)}));
  EXPECT_TRUE(streams.empty());
  EXPECT_FALSE(streams.Start(asked, Id(4)));
  EXPECT_TRUE(streams.Push(first, Update(Kind::kAck, "beta")));
  EXPECT_EQ(Round(streams), Texts{});
}

}  // namespace
}  // namespace serf::rpc
