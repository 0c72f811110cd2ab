#ifndef SERF_CMD_DISCOVERY_DNS_MESSAGE_H_
#define SERF_CMD_DISCOVERY_DNS_MESSAGE_H_

// DNS messages, as far as multicast DNS has them, read and written by glibc's resolver library.
// Source: RFC 1035 (4.1), RFC 2782, RFC 6762 (18).
//
//   DnsWriter question(id, /*flags=*/0);
//   question.AddQuestion({*DnsName("_serf_web._tcp.local."), DnsType::kPtr});
//   Send(question.bytes());
//   std::optional<DnsMessage> answer = ParseDnsMessage(datagram);
//
// Names are in the one form that DnsName() makes, so that equal names are equal texts.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"

namespace serf::cmd {

// RFC 6762, 17: no message of multicast DNS is longer.
inline constexpr std::size_t kDnsDatagramMax = 9000;

// What is taken out of one message: a whole subnet's answers are below. The rest is not looked at.
inline constexpr std::size_t kDnsQuestionsMax = 64;
inline constexpr std::size_t kDnsRecordsMax = 512;

// Numbers of the protocol.
enum class DnsType : std::uint16_t {
  kA = 1,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kAny = 255,
};

// Of a header.
inline constexpr std::uint16_t kDnsResponse = 0x8000;
inline constexpr std::uint16_t kDnsAuthoritative = 0x0400;

// "a b.local." is "a\032b.local": labels with dots between them, odd characters escaped. Error:
// labels have 1 to 63 bytes, names up to 255.
absl::StatusOr<std::string> DnsName(absl::string_view text);

struct DnsQuestion {
  std::string name;
  DnsType type = DnsType::kAny;  // or any other number
  bool unicast_response = false;

  friend bool operator==(const DnsQuestion&, const DnsQuestion&) = default;
};

struct DnsPtr {
  std::string name;

  friend bool operator==(const DnsPtr&, const DnsPtr&) = default;
};

struct DnsSrv {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::string host;

  friend bool operator==(const DnsSrv&, const DnsSrv&) = default;
};

struct DnsTxt {
  std::string text;  // of several strings: the first

  friend bool operator==(const DnsTxt&, const DnsTxt&) = default;
};

struct DnsRecord {
  std::string name;
  std::variant<DnsPtr, DnsSrv, IpAddress, DnsTxt> data;

  friend bool operator==(const DnsRecord&, const DnsRecord&) = default;
};

struct DnsMessage {
  std::uint16_t id = 0;
  bool response = false;
  std::vector<DnsQuestion> questions;  // of class IN
  std::vector<DnsRecord> records;      // of the answer and additional sections, of the types above
};

// None: malformed, or to be ignored, since its opcode, response code or TC bit is not zero. What
// lies inside is bounded by the bytes that came.
std::optional<DnsMessage> ParseDnsMessage(ByteView bytes);

// Puts a message together; names are compressed.
class DnsWriter {
 public:
  // As for gossip: what every link takes in one piece.
  static constexpr std::size_t kMessageMax = 1400;
  // Names to which later ones can point; the others are written out.
  static constexpr std::size_t kNamesMax = 64;

  DnsWriter(std::uint16_t id, std::uint16_t flags);
  DnsWriter(const DnsWriter&) = delete;
  DnsWriter& operator=(const DnsWriter&) = delete;

  // False: there is no room, and the message is as before. All questions come before the first
  // record.
  bool AddQuestion(const DnsQuestion& question);
  bool AddRecord(const DnsRecord& record, std::uint32_t ttl);

  bool empty() const { return questions_ == 0 && answers_ == 0; }
  ByteView bytes() const { return {buffer_.data(), size_}; }

 private:
  bool PutNumber(std::uint32_t value, std::size_t size);
  bool PutBytes(ByteView bytes);
  // Not compressed, a name can still be pointed to.
  bool PutName(const std::string& name, bool compress);
  bool PutData(const DnsRecord& record);
  // Takes back what was put since.
  bool Undo(std::size_t size);
  void SetCount(std::size_t at, std::uint16_t count);

  std::array<std::uint8_t, kMessageMax> buffer_ = {};
  std::size_t size_ = 0;
  std::uint16_t questions_ = 0;
  std::uint16_t answers_ = 0;
  std::array<const std::uint8_t*, kNamesMax + 2> names_ = {};  // the message, names, null
};

}  // namespace serf::cmd

#endif  // SERF_CMD_DISCOVERY_DNS_MESSAGE_H_
