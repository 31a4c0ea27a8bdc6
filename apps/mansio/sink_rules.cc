#include "mansio/sink_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "base/text.h"
#include "base/time.h"

namespace mansio::sink {

namespace {

Phase parse_phase(std::string_view text) {
  if (text == "connect") return Phase::connect;
  if (text == "ehlo") return Phase::ehlo;
  if (text == "mail") return Phase::mail;
  if (text == "rcpt") return Phase::recipient;
  if (text == "data") return Phase::data;
  if (text == "dot") return Phase::dot;
  if (text == "close-after-dot") return Phase::close_after_dot;
  throw std::invalid_argument(fmt::format(
      "\"{}\" is not a phase: connect, ehlo, mail, rcpt, data, dot, close-after-dot", text));
}

std::uint16_t parse_code(std::string_view text) {
  const auto code = parse_decimal(text);
  if (!code || *code < 400 || *code > 599) {
    throw std::invalid_argument(fmt::format("code \"{}\" is not one from 400 to 599", text));
  }
  return static_cast<std::uint16_t>(*code);
}

double parse_share(std::string_view text) {
  const std::string number(text);
  char* end = nullptr;
  const double share = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(share >= 0 && share <= 1)) {
    throw std::invalid_argument(fmt::format("share \"{}\" is not one from 0 to 1", text));
  }
  return share;
}

std::chrono::milliseconds parse_delay(std::string_view text) {
  const auto delay = parse_duration(text);
  if (!delay)
    throw std::invalid_argument(fmt::format("delay \"{}\" is not a duration such as 2s", text));
  return std::chrono::duration_cast<std::chrono::milliseconds>(*delay);
}

std::uint32_t parse_times(std::string_view text) {
  const auto times = parse_decimal(text);
  if (!times || *times == 0 || *times > 1000000) {
    throw std::invalid_argument(fmt::format("times \"{}\" is not a number from 1", text));
  }
  return static_cast<std::uint32_t>(*times);
}

void set(Rule& rule, std::string_view key, std::string_view value) {
  if (key == "phase") {
    rule.phase = parse_phase(value);
  } else if (key == "code") {
    rule.code = parse_code(value);
  } else if (key == "share") {
    rule.share = parse_share(value);
  } else if (key == "recipient") {
    rule.recipient = value;
  } else if (key == "sender") {
    rule.sender = value;
  } else if (key == "times") {
    rule.times = parse_times(value);
  } else if (key == "delay") {
    rule.delay = parse_delay(value);
  } else {
    throw std::invalid_argument(fmt::format(
        "\"{}\" is not one of phase, code, share, recipient, sender, times, delay, text", key));
  }
}

void check(const Rule& rule) {
  const bool early = rule.phase == Phase::connect || rule.phase == Phase::ehlo;
  if (!rule.recipient.empty() && (early || rule.phase == Phase::mail)) {
    throw std::invalid_argument("no recipient is known in that phase");
  }
  if (!rule.sender.empty() && early)
    throw std::invalid_argument("no sender is known in that phase");
  if (rule.phase == Phase::close_after_dot && rule.code != 0) {
    throw std::invalid_argument("close-after-dot gives no reply, so it has no code");
  }
  if (rule.phase != Phase::close_after_dot && rule.code == 0 && rule.delay.count() == 0) {
    throw std::invalid_argument("neither a code nor a delay is given");
  }
  if (rule.text.find_first_of("\r\n") != std::string::npos)
    throw std::invalid_argument("text is one line");
}

std::string_view usual_text(std::uint16_t code) {
  return code < 500 ? "4.3.0 Try again later" : "5.7.1 Refused by rule";
}

}  // namespace

Rule parse_rule(std::string_view text) {
  Rule rule;
  bool has_phase = false;
  try {
    for (text = trim(text); !text.empty(); text = trim(text)) {
      const std::size_t equals = text.find('=');
      if (equals == std::string_view::npos) {
        throw std::invalid_argument(fmt::format("\"{}\" is not KEY=VALUE", text));
      }
      const std::string_view key = text.substr(0, equals);
      text.remove_prefix(equals + 1);
      if (key == "text") {
        rule.text = text;
        break;
      }
      const std::string_view value = text.substr(0, text.find(' '));
      set(rule, key, value);
      has_phase = has_phase || key == "phase";
      text.remove_prefix(value.size());
    }
    if (!has_phase) throw std::invalid_argument("the phase is missing");
    check(rule);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("rule: {}", error.what()));
  }
  return rule;
}

bool matches_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t after_star = 0;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after_star = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || lower(pattern[p]) == lower(text[t]))) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::optional<Verdict> Rules::decide(Phase phase, std::string_view sender,
                                     const std::vector<std::string>& recipients) {
  for (auto& [rule, seen] : rules_) {
    if (rule.phase != phase) continue;
    if (!rule.sender.empty() && !matches_pattern(rule.sender, sender)) continue;
    std::string whose = recipients.empty() ? "" : recipients.front();
    if (!rule.recipient.empty()) {
      const auto found = std::find_if(
          recipients.begin(), recipients.end(),
          [&rule = rule](const std::string& one) { return matches_pattern(rule.recipient, one); });
      if (found == recipients.end()) continue;
      whose = *found;
    }
    if (rule.share < 1 && static_cast<double>(random_() >> 11) * 0x1.0p-53 >= rule.share) continue;
    if (rule.times != 0 && ++seen[whose] > rule.times) continue;
    Verdict verdict;
    verdict.code = rule.code;
    verdict.delay = rule.delay;
    verdict.close_without_reply = phase == Phase::close_after_dot;
    if (rule.code != 0) {
      verdict.reply =
          fmt::format("{} {}", rule.code, rule.text.empty() ? usual_text(rule.code) : rule.text);
    }
    return verdict;
  }
  return std::nullopt;
}

}  // namespace mansio::sink
