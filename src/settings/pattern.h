// Destination patterns: an exact name, "*.suffix" (or "*suffix"), or "*". Pure.
#pragma once

#include <string>
#include <string_view>

namespace mansio::settings {

/// A domain, an address literal in brackets, "*", or '*' followed by the end of a domain.
bool valid_pattern(std::string_view pattern);
/// The pattern as it is compared with destinations: in lower case, U-labels as A-labels. What has
/// no such form is given back in lower case, and is no valid_pattern().
std::string canonical_pattern(std::string_view pattern);
/// A host name of letters, digits and hyphens (RFC 1123 §2.1), at most 253 octets.
bool valid_host_name(std::string_view name);
/// Of reverse-paths: "a@b.example", "*@b.example", "*@*.example", or "<>" for the null path.
bool valid_sender_pattern(std::string_view pattern);
/// In lower case, the domain as canonical_pattern() writes it.
std::string canonical_sender_pattern(std::string_view pattern);
/// How well it fits a reverse-path in the form of canonical_sender(): 0 not at all, more is more
/// specific. An exact address is more than any pattern.
std::size_t sender_fit(std::string_view pattern, std::string_view sender);

/// How well the pattern fits the destination (lower case): 0 not at all, more is more specific.
std::size_t pattern_fit(std::string_view pattern, std::string_view destination);

}  // namespace mansio::settings
