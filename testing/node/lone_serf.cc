#include "serf/testing/node/lone_serf.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_op.h"
#include "serf/tags.h"
#include "serf/testing/node/peers.h"
#include "serf/testing/node/result_text.h"
#include "serf/wire/message_type.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

LoneSerf::LoneSerf(Config config) {
  config.swim.name = "self";
  config.swim.advertise = {IpAddress::V4(10, 0, 0, 1), 7946};
  config.swim.logger = &log_;
  serf_ = Serf::Create(std::move(config)).value();
  serf_->Start(now_, out_);
  Collect();
}

LoneSerf::~LoneSerf() = default;

void LoneSerf::PeerAlive(absl::string_view name, const Tags& tags) {
  ReceivePacket(peers_.Alive(name, tags));
}

void LoneSerf::PeerGone(absl::string_view name, bool announced) {
  ReceivePacket(peers_.Gone(name, announced));
}

void LoneSerf::ReceiveBytes(ByteView message, const Endpoint& from) {
  ByteVector packet = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
  Append(packet, message);
  ReceivePacket(packet, from);
}

void LoneSerf::ReceivePacket(ByteView packet, const Endpoint& from) {
  serf_->OnDatagram(now_, from, packet, out_);
  Collect();
}

void LoneSerf::ReceiveState(ByteView state, bool join) {
  const auto stream = serf_->OnStreamAccepted(now_, EndpointOf("somebody"), out_);
  Collect();
  if (!stream.has_value()) return;
  wire::PushPullHeader header;
  header.user_state_len = static_cast<std::int64_t>(state.size());
  header.join = join;
  ByteVector bytes = Encoded(header);
  Append(bytes, state);
  serf_->OnStreamBytes(now_, *stream, bytes, out_);
  Collect();
  // A fault may have closed the stream; the input then has no meaning and is ignored.
  if (!closed_) serf_->OnStreamClosed(now_, *stream, absl::OkStatus(), out_);
  Collect();
}

RequestId LoneSerf::Leave() {
  const RequestId request = NewRequest();
  serf_->Leave(now_, request, out_);
  return Done(request);
}

RequestId LoneSerf::Join(std::vector<swim::JoinTarget> targets, JoinOptions options) {
  const RequestId request = NewRequest();
  serf_->Join(now_, request, std::move(targets), options, out_);
  return Done(request);
}

RequestId LoneSerf::ForceLeave(absl::string_view name, ForceLeaveOptions options) {
  const RequestId request = NewRequest();
  serf_->ForceLeave(now_, request, name, options, out_);
  return Done(request);
}

RequestId LoneSerf::SetTags(Tags tags) {
  const RequestId request = NewRequest();
  serf_->SetTags(now_, request, std::move(tags), out_);
  return Done(request);
}

std::string LoneSerf::SendUserEvent(absl::string_view name, absl::string_view payload,
                                    UserEventOptions options) {
  const absl::Status status = serf_->SendUserEvent(now_, name, payload, options, out_);
  Collect();
  return status.ok() ? "ok" : std::string(status.message());
}

absl::StatusOr<QueryId> LoneSerf::SendQuery(absl::string_view name, absl::string_view payload,
                                            const QueryParams& params) {
  const absl::StatusOr<QueryId> query = serf_->SendQuery(now_, name, payload, params, out_);
  Collect();
  return query;
}

void LoneSerf::CancelQuery(QueryId query) {
  serf_->CancelQuery(now_, query, out_);
  Collect();
}

std::string LoneSerf::Respond(QueryId query, absl::string_view payload) {
  const absl::Status status = serf_->Respond(now_, query, payload, out_);
  Collect();
  return status.ok() ? "ok" : std::string(status.message());
}

RequestId LoneSerf::ManageKeys(KeyOperation operation, ByteView key) {
  const RequestId request = NewRequest();
  serf_->ManageKeys(now_, request, operation, key, /*relay_factor=*/0, out_);
  return Done(request);
}

void LoneSerf::KeyringSaved(std::uint64_t version, const absl::Status& status) {
  serf_->OnKeyringSaved(now_, version, status, out_);
  Collect();
}

void LoneSerf::Shutdown() {
  serf_->Shutdown(now_, out_);
  Collect();
}

void LoneSerf::RunFor(Duration duration) {
  const Instant end = now_ + duration;
  while (serf_->NextDeadline() <= end) {
    now_ = std::max(now_, serf_->NextDeadline());
    serf_->OnTimer(now_, out_);
    Collect();
  }
  now_ = end;
}

void LoneSerf::RunTurn() {
  serf_->OnTimer(now_, out_);
  Collect();
}

MemberStatus LoneSerf::Status(absl::string_view name) const {
  const auto member = serf_->FindMember(name);
  return member.has_value() ? member->status : MemberStatus::kNone;
}

std::string LoneSerf::Result(RequestId request) const {
  const auto found = completions_.find(request);
  if (found == completions_.end()) return "pending";
  return found->second.status.ok() ? "ok" : std::string(found->second.status.message());
}

RequestId LoneSerf::Done(RequestId request) {
  Collect();
  return request;
}

std::string LoneSerf::Stat(const char* key) const { return serf_->Stats()[key]; }

void LoneSerf::Collect() {
  for (const Event& event : out_.events()) {
    if (const auto* member_event = std::get_if<MemberEvent>(&event)) {
      events_.push_back(TextOf(*member_event));
    } else if (const auto* user = std::get_if<UserEvent>(&event)) {
      events_.push_back(absl::StrCat("user ", user->name));
      user_events_.push_back(*user);
    } else {
      events_.push_back(absl::StrCat("query ", std::get<QueryEvent>(event).name));
      queries_.push_back(std::get<QueryEvent>(event));
    }
  }
  for (const QueryUpdate& update : out_.query_updates()) updates_.push_back(TextOf(update));
  for (const Completion& completion : out_.completions()) {
    completions_.insert_or_assign(completion.request, completion);
  }
  for (const auto& datagram : out_.datagrams()) {
    const ByteView bytes = out_.bytes(datagram);
    packets_.push_back({datagram.to, ByteVector(bytes.begin(), bytes.end())});
  }
  if (out_.keyring_save()) keyring_saves_.push_back(*out_.keyring_save());
  closed_ = false;
  for (const auto& op : out_.stream_ops()) {
    dials_ += op.kind == swim::Outbox::StreamOp::Kind::kDial;
    closed_ = closed_ || op.kind == swim::Outbox::StreamOp::Kind::kClose;
  }
  const std::vector<SnapshotOp> ops = out_.snapshot_ops();
  std::vector<std::unique_ptr<Judgement>> judgements = std::move(out_.judgements());
  out_.Clear();
  for (std::unique_ptr<Judgement>& judgement : judgements) {
    if (holds_judgements_) {
      judgements_.push_back(std::move(judgement));
    } else {
      judgement->Run([] { return Duration::zero(); });
      Judged(*judgement);
    }
  }
  for (const SnapshotOp& op : ops) {
    if (op.kind == SnapshotOp::Kind::kReplace) snapshot_.clear();
    snapshot_ += op.text;
    serf_->OnSnapshotDone(now_, absl::OkStatus(), out_);
    Collect();
  }
}

void LoneSerf::Judged(const Judgement& judgement) {
  serf_->OnQueryJudged(now_, judgement, out_);
  Collect();
}

}  // namespace serf::testkit
