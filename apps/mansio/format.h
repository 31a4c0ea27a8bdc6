// How the answers of the admin API look to people: aligned text, nothing that a terminal would
// obey. Pure: JSON in, text out.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::cli {

using Json = nlohmann::ordered_json;

/// Control octets, C1 controls and marks of text direction as escapes; line ends become blanks.
/// Peers choose reply texts and subjects, so everything shown goes through here.
std::string printable(std::string_view text);

/// Columns two blanks apart; the last one is not padded. Rows end with a line feed.
std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view indent = "");

/// "10.5 MiB"
std::string size_text(std::uint64_t octets);

std::string status_text(const Json& status);
std::string summary_text(const Json& summary);
/// A message of a listing: one line, and one per recipient.
std::string listed_text(const Json& message);
std::string message_text(const Json& message);
std::string history_text(const Json& history);
/// One line per recipient that answers the whole question.
std::string waits_text(const Json& waits);
/// What a bulk verb did, and why not all that matched has changed.
std::string change_text(const Json& change, const std::string& verb, bool dry_run);

}  // namespace mansio::cli
