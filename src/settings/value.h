// A setting's value between TOML and the structs: a few kinds, each with one way to write it.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"

namespace mansio::settings {

/// How an option is written. Several kinds share one C++ type.
enum class Kind : std::uint8_t {
  text,       ///< std::string
  boolean,    ///< bool
  integer,    ///< std::uint64_t
  number,     ///< double
  duration,   ///< Duration, "15m"
  size,       ///< std::uint64_t octets, "10MiB"
  texts,      ///< std::vector<std::string>
  durations,  ///< std::vector<Duration>
};

using Value = std::variant<std::string, bool, std::uint64_t, double, Duration,
                           std::vector<std::string>, std::vector<Duration>>;

/// What an option of this kind expects, for messages: "a duration such as \"15m\"".
std::string expectation(Kind kind);
/// One or two words for tables of the manual: "duration".
std::string kind_name(Kind kind);
/// The value as TOML writes it: "\"15m\"", "[\"15m\", \"1h\"]", "true".
std::string to_toml(Kind kind, const Value& value);
/// A TOML basic string with the quotes.
std::string quote_toml(std::string_view text);

}  // namespace mansio::settings
