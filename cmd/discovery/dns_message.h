#ifndef SERF_CMD_DISCOVERY_DNS_MESSAGE_H_
#define SERF_CMD_DISCOVERY_DNS_MESSAGE_H_

// DNS messages, as far as multicast DNS uses them. glibc's resolver library reads and writes them.
// Source: RFC 1035 (4.1), RFC 2782, RFC 6762 (18).
//
//   DnsWriter question(id, /*flags=*/0);
//   question.AddQuestion({*DnsName("_serf_web._tcp.local."), DnsType::kPtr});
//   Send(question.bytes());
//   std::optional<DnsMessage> answer = ParseDnsMessage(datagram);
//
// All names have the form that DnsName() makes, so equal names are equal texts.

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

// The longest message of multicast DNS (RFC 6762, 17).
inline constexpr std::size_t kDnsDatagramMax = 9000;

// The most entries that are read from one message: the answers of a whole subnet are fewer. The
// rest is ignored.
inline constexpr std::size_t kDnsQuestionsMax = 64;
inline constexpr std::size_t kDnsRecordsMax = 512;

// The protocol's numbers.
enum class DnsType : std::uint16_t {
  kA = 1,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kAny = 255,
};

// Flags of a header.
inline constexpr std::uint16_t kDnsResponse = 0x8000;
inline constexpr std::uint16_t kDnsAuthoritative = 0x0400;

// Makes "a\032b.local" of "a b.local.": labels with dots between them, other characters escaped. An
// error, unless labels have 1 to 63 bytes and names up to 255.
absl::StatusOr<std::string> DnsName(absl::string_view text);

struct DnsQuestion {
  std::string name;
  DnsType type = DnsType::kAny;  // or any other number of the protocol
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
  std::string text;  // the first, if the record has several strings

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
  std::vector<DnsQuestion> questions;  // those of class IN
  std::vector<DnsRecord> records;  // from the answer and additional sections, of the types above
};

// Nothing for a malformed message, and for one whose opcode, response code or TC bit is not zero,
// which must be ignored. The bytes that came limit the size of the result.
std::optional<DnsMessage> ParseDnsMessage(ByteView bytes);

// Puts a message together; names are compressed.
class DnsWriter {
 public:
  // The same limit as for gossip: every link takes so much in one piece.
  static constexpr std::size_t kMessageMax = 1400;
  // Names that later names can point to. Further names are written out.
  static constexpr std::size_t kNamesMax = 64;

  DnsWriter(std::uint16_t id, std::uint16_t flags);
  DnsWriter(const DnsWriter&) = delete;
  DnsWriter& operator=(const DnsWriter&) = delete;

  // Adds a question; all questions come before the first record. False if there is no room; the
  // message is then as before.
  bool AddQuestion(const DnsQuestion& question);
  bool AddRecord(const DnsRecord& record, std::uint32_t ttl);

  bool empty() const { return questions_ == 0 && answers_ == 0; }
  ByteView bytes() const { return {buffer_.data(), size_}; }

 private:
  bool PutNumber(std::uint32_t value, std::size_t size);
  bool PutBytes(ByteView bytes);
  // A name that is not compressed can still be pointed to.
  bool PutName(const std::string& name, bool compress);
  bool PutData(const DnsRecord& record);
  // Cuts the message back to `size` bytes.
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
