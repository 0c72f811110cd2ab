#include "serf/cmd/discovery/dns_message.h"

#include <arpa/nameser.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
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

namespace serf::cmd {
namespace {

constexpr std::uint16_t kUnicastResponse = 0x8000;  // a bit of a question's class
constexpr std::uint16_t kCacheFlush = 0x8000;       // a bit of a record's class

using WireName = std::array<std::uint8_t, NS_MAXCDNAME>;
using TextName = std::array<char, NS_MAXDNAME>;

// Converts a name on the wire, without compression, to text.
std::optional<std::string> ToText(const std::uint8_t* wire) {
  TextName text;
  if (ns_name_ntop(wire, text.data(), text.size()) < 0) return std::nullopt;
  return std::string(text.data());
}

// A name within a message.
std::optional<std::string> NameAt(const ns_msg& message, const std::uint8_t* at) {
  WireName wire;
  if (ns_name_unpack(ns_msg_base(message), ns_msg_end(message), at, wire.data(), wire.size()) < 0) {
    return std::nullopt;
  }
  return ToText(wire.data());
}

// Nothing for a record of another type, or a malformed one.
std::optional<DnsRecord> RecordOf(const ns_msg& message, const ns_rr& rr) {
  if ((ns_rr_class(rr) & ~kCacheFlush) != ns_c_in) return std::nullopt;
  const ByteView data(ns_rr_rdata(rr), ns_rr_rdlen(rr));
  DnsRecord record{ns_rr_name(rr), {}};
  switch (static_cast<DnsType>(ns_rr_type(rr))) {
    case DnsType::kA:
    case DnsType::kAaaa: {
      const std::optional<IpAddress> address = IpAddress::FromBytes(data);
      if (!address || address->is_v4() != (ns_rr_type(rr) == ns_t_a)) return std::nullopt;
      record.data = address->Unmapped();
      return record;
    }
    case DnsType::kPtr: {
      if (data.empty()) return std::nullopt;
      std::optional<std::string> name = NameAt(message, data.data());
      if (!name) return std::nullopt;
      record.data = DnsPtr{*std::move(name)};
      return record;
    }
    case DnsType::kSrv: {
      constexpr std::size_t kNumbers = 6;
      if (data.size() <= kNumbers) return std::nullopt;
      std::optional<std::string> host = NameAt(message, data.data() + kNumbers);
      if (!host) return std::nullopt;
      const auto number = [&data](std::size_t at) {
        return static_cast<std::uint16_t>(data[at] << 8 | data[at + 1]);
      };
      record.data = DnsSrv{number(0), number(2), number(4), *std::move(host)};
      return record;
    }
    case DnsType::kTxt: {
      if (data.empty() || data.size() < 1u + data[0]) return std::nullopt;
      record.data = DnsTxt{std::string(AsText(data.subspan(1, data[0])))};
      return record;
    }
    case DnsType::kAny:
      break;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::string> DnsName(absl::string_view text) {
  WireName wire;
  std::optional<std::string> name;
  const bool whole = text.find('\0') == absl::string_view::npos;
  if (whole && !text.empty() &&
      ns_name_pton(std::string(text).c_str(), wire.data(), wire.size()) >= 0) {
    name = ToText(wire.data());
  }
  if (name) return *std::move(name);
  return absl::InvalidArgumentError(absl::StrCat("'", text, "' is no name for DNS"));
}

std::optional<DnsMessage> ParseDnsMessage(ByteView bytes) {
  ns_msg parsed;
  if (bytes.size() > kDnsDatagramMax ||
      ns_initparse(bytes.data(), static_cast<int>(bytes.size()), &parsed) < 0) {
    return std::nullopt;
  }
  if (ns_msg_getflag(parsed, ns_f_opcode) != 0 || ns_msg_getflag(parsed, ns_f_rcode) != 0 ||
      ns_msg_getflag(parsed, ns_f_tc) != 0) {
    return std::nullopt;
  }
  DnsMessage message;
  message.id = ns_msg_id(parsed);
  message.response = ns_msg_getflag(parsed, ns_f_qr) != 0;
  ns_rr rr;
  for (int i = 0; i < ns_msg_count(parsed, ns_s_qd); ++i) {
    if (message.questions.size() == kDnsQuestionsMax) break;
    if (ns_parserr(&parsed, ns_s_qd, i, &rr) < 0) return std::nullopt;
    if ((ns_rr_class(rr) & ~kUnicastResponse) != ns_c_in) continue;
    message.questions.push_back({ns_rr_name(rr), static_cast<DnsType>(ns_rr_type(rr)),
                                 (ns_rr_class(rr) & kUnicastResponse) != 0});
  }
  for (const ns_sect section : {ns_s_an, ns_s_ar}) {
    for (int i = 0; i < ns_msg_count(parsed, section); ++i) {
      if (message.records.size() == kDnsRecordsMax) return message;
      if (ns_parserr(&parsed, section, i, &rr) < 0) return std::nullopt;
      std::optional<DnsRecord> record = RecordOf(parsed, rr);
      if (record) message.records.push_back(*std::move(record));
    }
  }
  return message;
}

DnsWriter::DnsWriter(std::uint16_t id, std::uint16_t flags) {
  names_[0] = buffer_.data();
  PutNumber(id, 2);
  PutNumber(flags, 2);
  size_ = NS_HFIXEDSZ;
}

bool DnsWriter::AddQuestion(const DnsQuestion& question) {
  const std::size_t before = size_;
  const std::uint32_t in = ns_c_in | (question.unicast_response ? kUnicastResponse : 0u);
  if (!PutName(question.name, /*compress=*/true) ||
      !PutNumber(static_cast<std::uint16_t>(question.type), 2) || !PutNumber(in, 2)) {
    return Undo(before);
  }
  SetCount(4, ++questions_);
  return true;
}

bool DnsWriter::AddRecord(const DnsRecord& record, std::uint32_t ttl) {
  const std::size_t before = size_;
  static constexpr DnsType kTypes[] = {DnsType::kPtr, DnsType::kSrv, DnsType::kA, DnsType::kTxt};
  DnsType type = kTypes[record.data.index()];
  const auto* const address = std::get_if<IpAddress>(&record.data);
  if (address != nullptr && !address->is_v4()) type = DnsType::kAaaa;
  if (!PutName(record.name, /*compress=*/true) || !PutNumber(static_cast<std::uint16_t>(type), 2) ||
      !PutNumber(ns_c_in, 2) || !PutNumber(ttl, 4) || !PutNumber(0, 2)) {
    return Undo(before);
  }
  const std::size_t data = size_;
  if (!PutData(record)) return Undo(before);
  SetCount(data - 2, static_cast<std::uint16_t>(size_ - data));
  SetCount(6, ++answers_);
  return true;
}

bool DnsWriter::PutData(const DnsRecord& record) {
  if (const auto* ptr = std::get_if<DnsPtr>(&record.data)) return PutName(ptr->name, true);
  if (const auto* srv = std::get_if<DnsSrv>(&record.data)) {
    // RFC 2782 forbids the compression of this name.
    return PutNumber(srv->priority, 2) && PutNumber(srv->weight, 2) && PutNumber(srv->port, 2) &&
           PutName(srv->host, false);
  }
  if (const auto* address = std::get_if<IpAddress>(&record.data)) return PutBytes(address->bytes());
  const std::string& text = std::get<DnsTxt>(record.data).text;
  constexpr std::size_t kTextMax = 255;
  return text.size() <= kTextMax && PutNumber(static_cast<std::uint32_t>(text.size()), 1) &&
         PutBytes(AsBytes(text));
}

bool DnsWriter::PutNumber(std::uint32_t value, std::size_t size) {
  if (buffer_.size() - size_ < size) return false;
  for (std::size_t i = size; i-- > 0;) {
    buffer_[size_++] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  return true;
}

bool DnsWriter::PutBytes(ByteView bytes) {
  if (buffer_.size() - size_ < bytes.size()) return false;
  std::copy(bytes.begin(), bytes.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += bytes.size();
  return true;
}

bool DnsWriter::PutName(const std::string& name, bool compress) {
  WireName wire;
  if (ns_name_pton(name.c_str(), wire.data(), wire.size()) < 0) return false;
  std::uint8_t* const at = buffer_.data() + size_;
  const int room = static_cast<int>(buffer_.size() - size_);
  // The library ends its list of names with a null, and the list stays full once it is.
  const std::uint8_t** const list = compress ? names_.data() : nullptr;
  const std::uint8_t** const end = compress ? names_.data() + names_.size() : nullptr;
  const int size = ns_name_pack(wire.data(), at, room, list, end);
  if (size < 0) return false;
  size_ += static_cast<std::size_t>(size);
  if (!compress) {
    const auto free = std::find(names_.begin(), names_.end(), nullptr);
    if (names_.end() - free > 1) *free = at;
  }
  return true;
}

bool DnsWriter::Undo(std::size_t size) {
  size_ = size;
  const std::uint8_t* const end = buffer_.data() + size;
  const auto gone = std::find_if(names_.begin(), names_.end(), [end](const std::uint8_t* name) {
    return name != nullptr && name >= end;
  });
  std::fill(gone, names_.end(), nullptr);
  return false;
}

void DnsWriter::SetCount(std::size_t at, std::uint16_t count) {
  buffer_[at] = static_cast<std::uint8_t>(count >> 8);
  buffer_[at + 1] = static_cast<std::uint8_t>(count);
}

}  // namespace serf::cmd
