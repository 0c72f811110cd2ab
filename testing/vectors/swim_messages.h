#ifndef SERF_TESTING_VECTORS_SWIM_MESSAGES_H_
#define SERF_TESTING_VECTORS_SWIM_MESSAGES_H_

// Converts the SWIM layer's messages to and from the `fields` of memberlist.json, to compare their
// bytes.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

// Text and bytes as hex, absent bytes as "": vectors write text in either form, and decoders treat
// absent and empty alike.
inline nlohmann::json NormalFields(const nlohmann::json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return Hex(AsBytes(value.get<std::string>()));
  if (!value.is_object()) return value;
  if (value.contains("hex")) return value["hex"];
  nlohmann::json normal = nlohmann::json::object();
  for (const auto& [key, field] : value.items()) normal[key] = NormalFields(field);
  return normal;
}

inline nlohmann::json ToFields(const wire::Ping& m) {
  return {{"SeqNo", m.seq_no.value()},
          {"Node", Hex(AsBytes(m.node))},
          {"SourceAddr", Hex(m.source_addr)},
          {"SourcePort", m.source_port},
          {"SourceNode", Hex(AsBytes(m.source_node))}};
}
inline nlohmann::json ToFields(const wire::IndirectPing& m) {
  return {{"SeqNo", m.seq_no.value()},
          {"Target", Hex(m.target)},
          {"Port", m.port},
          {"Node", Hex(AsBytes(m.node))},
          {"Nack", m.nack},
          {"SourceAddr", Hex(m.source_addr)},
          {"SourcePort", m.source_port},
          {"SourceNode", Hex(AsBytes(m.source_node))}};
}
inline nlohmann::json ToFields(const wire::Ack& m) {
  return {{"SeqNo", m.seq_no.value()}, {"Payload", Hex(m.payload)}};
}
inline nlohmann::json ToFields(const wire::Nack& m) { return {{"SeqNo", m.seq_no.value()}}; }
inline nlohmann::json ToFields(const wire::Suspect& m) {
  return {{"Incarnation", m.incarnation.value()},
          {"Node", Hex(AsBytes(m.node))},
          {"From", Hex(AsBytes(m.from))}};
}
inline nlohmann::json ToFields(const wire::Dead& m) {
  return {{"Incarnation", m.incarnation.value()},
          {"Node", Hex(AsBytes(m.node))},
          {"From", Hex(AsBytes(m.from))}};
}
inline nlohmann::json ToFields(const wire::Alive& m) {
  return {{"Incarnation", m.incarnation.value()},
          {"Node", Hex(AsBytes(m.node))},
          {"Addr", Hex(m.addr)},
          {"Port", m.port},
          {"Meta", Hex(m.meta)},
          {"Vsn", Hex(m.vsn)}};
}
inline nlohmann::json ToFields(const wire::PushPullHeader& m) {
  return {{"Nodes", m.nodes}, {"UserStateLen", m.user_state_len}, {"Join", m.join}};
}
inline nlohmann::json ToFields(const wire::PushPullNode& m) {
  return {{"Name", Hex(AsBytes(m.name))},
          {"Addr", Hex(m.addr)},
          {"Port", m.port},
          {"Meta", Hex(m.meta)},
          {"Incarnation", m.incarnation.value()},
          {"State", m.state},
          {"Vsn", Hex(m.vsn)}};
}
inline nlohmann::json ToFields(const wire::UserHeader& m) {
  return {{"UserMsgLen", m.user_msg_len}};
}
inline nlohmann::json ToFields(const wire::ErrorMessage& m) {
  return {{"Error", Hex(AsBytes(m.error))}};
}

// The result of decoding a body: its fields, and the bytes of its second encoding.
struct Decoded {
  wire::DecodeResult result = wire::DecodeResult::kOk;
  std::size_t consumed = 0;
  nlohmann::json fields;
  ByteVector again;
};

template <typename Message>
Decoded DecodeAs(ByteView body) {
  Decoded decoded;
  wire::DecodeScratch scratch;
  Message message;
  decoded.result = wire::Decode(body, message, scratch);
  decoded.consumed = scratch.consumed();
  if (decoded.result != wire::DecodeResult::kOk) return decoded;
  decoded.fields = ToFields(message);
  Encode(message, decoded.again);
  return decoded;
}

// `type` has the vectors' name; `body` has no type byte.
inline Decoded DecodeSwim(absl::string_view type, ByteView body) {
  if (type == "ping") return DecodeAs<wire::Ping>(body);
  if (type == "indirectPing") return DecodeAs<wire::IndirectPing>(body);
  if (type == "ack") return DecodeAs<wire::Ack>(body);
  if (type == "nack") return DecodeAs<wire::Nack>(body);
  if (type == "suspect") return DecodeAs<wire::Suspect>(body);
  if (type == "dead") return DecodeAs<wire::Dead>(body);
  if (type == "alive") return DecodeAs<wire::Alive>(body);
  if (type == "err") return DecodeAs<wire::ErrorMessage>(body);
  if (type == "pushPullHeader" || type == "pushPull") return DecodeAs<wire::PushPullHeader>(body);
  if (type == "pushNodeState") return DecodeAs<wire::PushPullNode>(body);
  if (type == "userStream") return DecodeAs<wire::UserHeader>(body);
  if (type == "user") {
    Decoded decoded;
    decoded.fields = {{"payload", Hex(body)}};
    decoded.again = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    Append(decoded.again, body);
    decoded.consumed = body.size();
    return decoded;
  }
  throw std::runtime_error("unknown message type in the vectors");
}

// True if every expected field was decoded with its value.
inline bool HasFields(const nlohmann::json& decoded, const nlohmann::json& expected) {
  for (const auto& [key, value] : expected.items()) {
    if (!decoded.contains(key) || decoded[key] != NormalFields(value)) return false;
  }
  return true;
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_VECTORS_SWIM_MESSAGES_H_
