#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/commands.h"
#include "serf/transport/entropy.h"

namespace serf::cmd {
namespace {

int Run(std::span<const std::string>) {
  std::array<std::uint8_t, 32> key;  // AES-256
  transport::FillRandom(key);
  Print(absl::StrCat(absl::Base64Escape(AsText(key)), "\n"));
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf keygen

  Prints a new key for the encryption of a cluster's traffic: 32 random bytes
  in base64. Give the same key to every agent with -encrypt.)";

}  // namespace

constinit const Command kKeygenCommand = {
    .name = "keygen", .synopsis = "Generates a new encryption key", .help = kHelp, .run = Run};

}  // namespace serf::cmd
