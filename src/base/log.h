// The log: one line per event, a name from a documented set and fields. Formats: text and json.
// Thread safety: all functions from any thread. Control octets in values are escaped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mansio::log {

enum class Level : std::uint8_t { debug, info, warning, error };
enum class Format : std::uint8_t { text, json };

/// Start-up only. The sink is standard error; a sink that cannot keep up or fails loses lines,
/// which are counted (dropped()), and never stops mail.
void configure(Format format, Level level);
void flush();
std::uint64_t dropped();
bool enabled(Level level);

/// One line, written when the object dies:
///   log::info("delivered").field("id", id.to_string()).field("host", host);
/// The event and field names are listed in docs/LOGGING.md; tests/tidy compares them.
class Line {
 public:
  Line(Level level, std::string_view event);
  ~Line();
  Line(Line&&) noexcept;
  Line& operator=(Line&&) = delete;

  Line&& field(std::string_view name, std::string_view value) &&;

  template <class Number>
    requires std::is_arithmetic_v<Number>
  Line&& field(std::string_view name, Number value) && {
    if constexpr (std::is_same_v<Number, bool>) {
      return std::move(*this).raw(name, value ? "true" : "false");
    } else {
      return std::move(*this).raw(name, std::to_string(value));
    }
  }

 private:
  Line&& raw(std::string_view name, std::string_view value) &&;

  Level level_;
  bool active_;
  std::string text_;
};

inline Line debug(std::string_view event) { return {Level::debug, event}; }
inline Line info(std::string_view event) { return {Level::info, event}; }
inline Line warning(std::string_view event) { return {Level::warning, event}; }
inline Line error(std::string_view event) { return {Level::error, event}; }

}  // namespace mansio::log
