// Pieces of manual pages in roff's man macros. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mansio::cli::roff {

/// Text that roff takes for text: no requests, no escapes, hyphens that can be copied, and without
/// the marks that the manual has around code.
std::string text(std::string_view plain);
std::string bold(const std::string& plain);
std::string italic(const std::string& plain);
/// The head of a page. Without a date: the same version gives the same page.
std::string title(const std::string& name, int part, const std::string& version,
                  const char* manual);
std::string section(const char* name);
/// A term and what it means; both are roff already.
std::string item(const std::string& term, const std::string& meaning);
/// A block that is shown as it stands.
std::string verbatim(std::string_view plain);
std::string see_also(const char* pages);

}  // namespace mansio::cli::roff
