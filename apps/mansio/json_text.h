// Members of the API's answers as text; what is absent or null is empty. Internal to the formats.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mansio/format.h"

namespace mansio::cli {

using Rows = std::vector<std::vector<std::string>>;

/// A member as text.
std::string text_of(const Json& object, const char* name);
std::uint64_t number_of(const Json& object, const char* name);
bool flag_of(const Json& object, const char* name);
/// The elements of a list.
const Json& list_of(const Json& object, const char* name);
/// Without the fraction of the second, which people do not need.
std::string time_of(const Json& object, const char* name);
/// "name          value" and a line feed; nothing for an empty value.
void append_pair(std::string& text, const char* name, const std::string& value);

}  // namespace mansio::cli
