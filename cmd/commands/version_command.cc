#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/version.h"

namespace serf::cmd {
namespace {

int Run(std::span<const std::string>) {
  Print(absl::StrCat(kVersion, "\nAgent Protocol: ", kProtocolMax,
                     " (Understands back to: ", kProtocolMin, ")\n"));
  return kExitSuccess;
}

}  // namespace

// Go Serf has no help for it either.
constinit const Command kVersionCommand = {
    .name = "version", .synopsis = "Prints the Serf version", .help = "", .run = Run};

}  // namespace serf::cmd
