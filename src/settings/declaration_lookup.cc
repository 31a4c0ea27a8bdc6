// Looking up and describing what declaration.cc declares.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "settings/declaration.h"

namespace mansio::settings {
namespace {

/// A bound as the option's values are written.
std::string bound(Kind kind, double value) {
  switch (kind) {
    case Kind::duration:
    case Kind::durations:
      return to_text(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value)));
    case Kind::size: {
      const std::string quoted = to_toml(kind, Value(static_cast<std::uint64_t>(value)));
      return quoted.substr(1, quoted.size() - 2);
    }
    default:
      return fmt::format("{}", value);
  }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Option::range() const {
  if (!choices.empty()) {
    std::string out;
    for (const std::string& choice : choices) {
      if (!out.empty()) out += " | ";
      out += choice;
    }
    return out;
  }
  // The bound of a 32-bit field is no limit that a reader wants to know.
  const bool has_most = most && *most < 4294967295.0;
  if (least && has_most) return bound(kind, *least) + " to " + bound(kind, *most);
  if (least) return "at least " + bound(kind, *least);
  if (has_most) return "at most " + bound(kind, *most);
  return {};
}

const Option* Section::find(std::string_view key) const {
  const auto found = std::find_if(options.begin(), options.end(),
                                  [key](const Option& option) { return option.key == key; });
  return found == options.end() ? nullptr : &*found;
}

const LaterKey* Section::find_later(std::string_view key) const {
  const auto found = std::find_if(later.begin(), later.end(),
                                  [key](const LaterKey& item) { return item.key == key; });
  return found == later.end() ? nullptr : &*found;
}

std::string Section::pattern() const {
  switch (shape) {
    case Shape::table:
      return name;
    case Shape::array:
      return name + "[]";
    case Shape::named:
      return name_word == "NAME" ? name + ".NAME" : name + ".\"" + name_word + "\"";
  }
  return name;
}

const Section* find_section(std::string_view name) {
  const auto& all = sections();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [name](const Section& section) { return section.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  const std::string wanted = to_lower(word);
  std::string best;
  std::size_t best_distance = word.size() <= 3 ? 2 : std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(wanted, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace mansio::settings
