// Header fields of mail that others wrote, read leniently and within limits. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mansio::dsn {

/// One field, unfolded; octets as they came, without controls at the ends.
struct Field {
  std::string name;
  std::string value;
  friend bool operator==(const Field&, const Field&) = default;
};

/// At most so many fields of a block are kept, and so many octets of a value.
inline constexpr std::size_t fields_max = 1000;
inline constexpr std::size_t field_octets_max = 8 * 1024;

/// The fields of a block, in order, up to its first empty line or its end; lines that are no fields
/// are left out. `block` is moved behind that empty line.
std::vector<Field> take_fields(std::string_view& block);

/// The value of the first field with this name (case-insensitive); "" if there is none.
std::string_view field_value(const std::vector<Field>& fields, std::string_view name);

/// "Text/Plain; Charset=\"x\"" gives "text/plain".
std::string media_type(std::string_view content_type);
/// The value of a parameter, quotes undone; RFC 2231 pieces ("name*0") are joined. "": none.
std::string parameter(std::string_view content_type, std::string_view name);

}  // namespace mansio::dsn
