#ifndef SERF_CMD_HTTP_SETTINGS_H_
#define SERF_CMD_HTTP_SETTINGS_H_

// The HTTP part of an agent's configuration: from the operator's texts to a policy. An error names
// the key and the wrong value, but never a token.
//
//   absl::StatusOr<HttpSettings> settings = ReadHttpSettings(options, wait_max, warnings);

#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/base/time.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/http/policy.h"
#include "serf/rpc/address.h"
#include "serf/rpc/constant_time.h"
#include "serf/rpc/unix_socket.h"

namespace serf::cmd {

// An entry of http_tokens: either the token, or a file that holds it.
struct HttpTokenOption {
  std::string name;
  std::string token;
  std::string token_file;
  std::vector<std::string> scopes;

  friend bool operator==(const HttpTokenOption&, const HttpTokenOption&) = default;
};

// What the operator wrote.
struct HttpOptions {
  std::string addr;  // empty: no HTTP
  std::vector<HttpTokenOption> tokens;
  std::optional<std::vector<std::string>> anonymous;  // not set: by the kind of the listener
  std::vector<std::string> allowed_hosts = {};
  std::string socket_mode = "0600";
};

struct HttpSettings {
  HttpPolicy policy;
  mode_t socket_mode = S_IRUSR | S_IWUSR;
};

// A token for each tool and each operator; more are a directory, not a configuration.
inline constexpr std::size_t kHttpTokensMax = 32;
// 16 printable bytes can't be guessed over a network; 256 is more than any generator makes.
inline constexpr std::size_t kHttpTokenBytesMin = 16;
inline constexpr std::size_t kHttpTokenBytesMax = 256;
inline constexpr std::size_t kHttpHostsMax = 64;

namespace http_settings_internal {

inline absl::Status Mistake(absl::string_view key, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("Invalid ", key, ": ", what));
}

inline absl::StatusOr<Scopes> ParseScopes(absl::string_view key,
                                          const std::vector<std::string>& names) {
  Scopes scopes;
  for (const std::string& name : names) {
    const std::optional<Scope> scope = ParseScope(name);
    if (!scope) {
      return Mistake(key, absl::StrCat("'", name,
                                       "' is no scope, must be 'probe', 'metrics', 'read' or "
                                       "'control'"));
    }
    scopes.Add(*scope);
  }
  return scopes;
}

inline absl::StatusOr<mode_t> ParseMode(const std::string& text) {
  mode_t mode = 0;
  const bool octal =
      !text.empty() && text.size() <= 4 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '7'; });
  for (const char c : octal ? text : "") mode = mode * 8 + static_cast<mode_t>(c - '0');
  if (!octal || (mode & ~mode_t{0770}) != 0) {
    return Mistake("http_socket_mode",
                   absl::StrCat("'", text,
                                "', must be octal, from '0600' to '0770', with no right "
                                "for all"));
  }
  return mode;
}

inline absl::StatusOr<HttpToken> ReadToken(const HttpTokenOption& option, std::size_t index,
                                           Duration wait_max, std::vector<std::string>& warnings) {
  const std::string key = option.name.empty() ? absl::StrCat("http_tokens[", index, "]")
                                              : absl::StrCat("http_tokens '", option.name, "'");
  if (option.name.empty()) return Mistake(key, "it has no name");
  if (option.token.empty() == option.token_file.empty()) {
    return Mistake(key, "it must have either 'token' or 'token_file'");
  }
  HttpToken token{.name = option.name, .secret = option.token, .scopes = {}};
  if (!option.token_file.empty()) {
    const absl::StatusOr<std::string> text = ReadTextFile(option.token_file, wait_max);
    if (!text.ok()) return Mistake(key, text.status().message());
    token.secret = std::string(absl::StripAsciiWhitespace(*text));
    struct stat status = {};
    if (::stat(option.token_file.c_str(), &status) == 0 && (status.st_mode & 0007) != 0) {
      warnings.push_back(absl::StrCat("Warning: http_tokens '", option.name, "': others can read ",
                                      option.token_file));
    }
  }
  if (token.secret.size() < kHttpTokenBytesMin || token.secret.size() > kHttpTokenBytesMax) {
    return Mistake(key, absl::StrCat("the token has ", token.secret.size(), " bytes, must have ",
                                     kHttpTokenBytesMin, " to ", kHttpTokenBytesMax));
  }
  if (!std::all_of(token.secret.begin(), token.secret.end(), absl::ascii_isgraph)) {
    return Mistake(key, "the token must consist of printable characters without blanks");
  }
  if (option.scopes.empty()) return Mistake(key, "it has no scopes");
  absl::StatusOr<Scopes> scopes = ParseScopes(key, option.scopes);
  if (!scopes.ok()) return scopes.status();
  token.scopes = *scopes;
  return token;
}

// Whether only this machine reaches a TCP address, as far as its text tells.
inline bool IsLoopback(absl::string_view addr) {
  const absl::StatusOr<HostPort> target = rpc::ParseAddress(addr);
  if (!target.ok()) return false;
  if (target->host == "localhost") return true;
  const std::optional<IpAddress> address = IpAddress::Parse(target->host);
  return address && address->is_loopback();
}

}  // namespace http_settings_internal

// Checks the options and reads the files of tokens, each for at most `wait_max`. Each warning is a
// line for the operator.
inline absl::StatusOr<HttpSettings> ReadHttpSettings(const HttpOptions& options, Duration wait_max,
                                                     std::vector<std::string>& warnings) {
  namespace internal = http_settings_internal;
  HttpSettings settings;
  const std::optional<absl::string_view> path = rpc::UnixPathOf(options.addr);
  if (path) {
    if (const absl::Status status = rpc::CheckUnixPath(*path); !status.ok()) {
      return internal::Mistake("http_addr", status.message());
    }
  } else if (!options.addr.empty()) {
    const absl::StatusOr<HostPort> target = rpc::ParseAddress(options.addr);
    if (!target.ok()) return internal::Mistake("http_addr", target.status().message());
  }
  absl::StatusOr<mode_t> mode = internal::ParseMode(options.socket_mode);
  if (!mode.ok()) return mode.status();
  settings.socket_mode = *mode;
  HttpPolicy& policy = settings.policy;
  policy.local_socket = path.has_value();

  if (options.tokens.size() > kHttpTokensMax) {
    return internal::Mistake(
        "http_tokens",
        absl::StrCat(options.tokens.size(), " tokens, must be at most ", kHttpTokensMax));
  }
  for (std::size_t i = 0; i < options.tokens.size(); ++i) {
    absl::StatusOr<HttpToken> token = internal::ReadToken(options.tokens[i], i, wait_max, warnings);
    if (!token.ok()) return token.status();
    for (const HttpToken& other : policy.tokens) {
      const bool name = other.name == token->name;
      if (name || rpc::EqualInConstantTime(other.secret, token->secret)) {
        return internal::Mistake("http_tokens",
                                 absl::StrCat("'", other.name, "' and '", token->name,
                                              "' have the "
                                              "same ",
                                              name ? "name" : "token"));
      }
    }
    policy.tokens.push_back(*std::move(token));
  }

  // Only the user of the agent itself may open the file, and that user may do everything.
  const bool own_socket = path && settings.socket_mode == (S_IRUSR | S_IWUSR);
  const bool loopback = !path && internal::IsLoopback(options.addr);
  if (options.anonymous) {
    absl::StatusOr<Scopes> scopes = internal::ParseScopes("http_anonymous", *options.anonymous);
    if (!scopes.ok()) return scopes.status();
    policy.anonymous = *scopes;
  } else if (own_socket) {
    policy.anonymous = {Scope::kProbe, Scope::kMetrics, Scope::kRead, Scope::kControl};
  } else if (path || loopback) {
    policy.anonymous = {Scope::kProbe, Scope::kMetrics, Scope::kRead};
  } else {
    policy.anonymous = {Scope::kProbe};
  }
  if (!options.addr.empty() && !path && policy.anonymous.Has(Scope::kControl)) {
    return internal::Mistake("http_anonymous",
                             "'control' is never for callers without a token over TCP");
  }
  const bool open = policy.anonymous.Has(Scope::kRead) || policy.anonymous.Has(Scope::kMetrics);
  if (!options.addr.empty() && !path && !loopback && open) {
    warnings.push_back(absl::StrCat("Warning: http_anonymous lets every host that reaches ",
                                    options.addr, " read what this agent knows"));
  }
  if (options.allowed_hosts.size() > kHttpHostsMax) {
    return internal::Mistake(
        "http_allowed_hosts",
        absl::StrCat(options.allowed_hosts.size(), " names, must be at most ", kHttpHostsMax));
  }
  for (const std::string& host : options.allowed_hosts) {
    // Names are compared as they are: no pattern, no port.
    const bool name = !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
      return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
    });
    if (!name) {
      return internal::Mistake("http_allowed_hosts",
                               absl::StrCat("'", host, "', must be a name without a port"));
    }
    policy.allowed_hosts.push_back(absl::AsciiStrToLower(host));
  }
  return settings;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_HTTP_SETTINGS_H_
