// How the sink answers: rules on the command line, the first that matches decides. Pure but for the
// seeded numbers and counters that `share` and `times` need.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mansio::sink {

enum class Phase : std::uint8_t { connect, ehlo, mail, recipient, data, dot, close_after_dot };

/// "phase=rcpt code=451 share=0.1 recipient=*@slow.example times=2 delay=2s text=4.2.0 Later"
struct Rule {
  Phase phase = Phase::recipient;
  std::uint16_t code = 0;   ///< 0: no reply of its own, only a delay
  double share = 1;         ///< of the events that match otherwise
  std::string recipient;    ///< pattern with * and ?; empty: any
  std::string sender;       ///< likewise
  std::uint32_t times = 0;  ///< only the first so many for each recipient; 0: all
  std::chrono::milliseconds delay{0};
  std::string text;  ///< after the code; rest of the rule
};

/// Throws std::invalid_argument with what was wrong.
Rule parse_rule(std::string_view text);

/// ASCII, without regard to case. `*` is any octets, `?` is one.
bool matches_pattern(std::string_view pattern, std::string_view text);

struct Verdict {
  std::uint16_t code = 0;  ///< 0: answer as usual
  std::string reply;       ///< "451 4.2.0 Later", without CRLF
  std::chrono::milliseconds delay{0};
  bool close_without_reply = false;
};

/// Thread safety: one loop, or a lock of the owner's.
class Rules {
 public:
  Rules(std::vector<Rule> rules, std::uint64_t seed) : random_(seed) {
    for (Rule& rule : rules) rules_.push_back({std::move(rule), {}});
  }

  /// What happens at `phase`. `recipients` is the one of RCPT, or those accepted so far; a rule
  /// with a recipient pattern matches if one of them does. nullopt: no rule.
  std::optional<Verdict> decide(Phase phase, std::string_view sender,
                                const std::vector<std::string>& recipients);

  bool empty() const { return rules_.empty(); }

 private:
  struct Counted {
    Rule rule;
    std::unordered_map<std::string, std::uint32_t>
        seen;  ///< by recipient, "" in phases without one
  };

  std::vector<Counted> rules_;
  std::mt19937_64 random_;
};

}  // namespace mansio::sink
