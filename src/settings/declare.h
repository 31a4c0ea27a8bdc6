// How declaration.cc binds an option to a field: kind, reading and writing follow from the field's
// type. Used by declaration.cc only.
#pragma once

#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "settings/declaration.h"

namespace mansio::settings {

/// How a field of type F travels as a Value.
template <class F>
struct FieldKind;

template <>
struct FieldKind<std::string> {
  static constexpr Kind kind = Kind::text;

  static std::string from(const Value& value) { return std::get<std::string>(value); }

  static std::optional<Value> to(const std::string& field) { return Value(field); }
};

template <>
struct FieldKind<bool> {
  static constexpr Kind kind = Kind::boolean;

  static bool from(const Value& value) { return std::get<bool>(value); }

  static std::optional<Value> to(bool field) { return Value(field); }
};

template <>
struct FieldKind<double> {
  static constexpr Kind kind = Kind::number;

  static double from(const Value& value) { return std::get<double>(value); }

  static std::optional<Value> to(double field) { return Value(field); }
};

template <>
struct FieldKind<Duration> {
  static constexpr Kind kind = Kind::duration;

  static Duration from(const Value& value) { return std::get<Duration>(value); }

  static std::optional<Value> to(Duration field) { return Value(field); }
};

template <class Unsigned>
requires std::is_unsigned_v<Unsigned>

struct FieldKind<Unsigned> {
  static constexpr Kind kind = Kind::integer;

  static Unsigned from(const Value& value) {
    return static_cast<Unsigned>(std::get<std::uint64_t>(value));  // the range was checked
  }

  static std::optional<Value> to(Unsigned field) { return Value(std::uint64_t{field}); }
};

template <>
struct FieldKind<std::optional<std::uint32_t>> {
  static constexpr Kind kind = Kind::integer;

  static std::optional<std::uint32_t> from(const Value& value) {
    return static_cast<std::uint32_t>(std::get<std::uint64_t>(value));
  }

  static std::optional<Value> to(std::optional<std::uint32_t> field) {
    if (!field) return std::nullopt;
    return Value(std::uint64_t{*field});
  }
};

template <>
struct FieldKind<std::vector<std::string>> {
  static constexpr Kind kind = Kind::texts;

  static std::vector<std::string> from(const Value& value) {
    return std::get<std::vector<std::string>>(value);
  }

  static std::optional<Value> to(const std::vector<std::string>& field) { return Value(field); }
};

template <>
struct FieldKind<std::vector<Duration>> {
  static constexpr Kind kind = Kind::durations;

  static std::vector<Duration> from(const Value& value) {
    return std::get<std::vector<Duration>>(value);
  }

  static std::optional<Value> to(const std::vector<Duration>& field) { return Value(field); }
};

/// An option under construction; its calls read as the declaration.
class Declared {
 public:
  explicit Declared(Option& option) : option_(option) {}

  Declared& required(std::string example) {
    option_.required = true;
    option_.default_value.reset();
    return shown_as(std::move(example));
  }

  /// No default worth showing, such as an empty string; the example stands in for it.
  Declared& shown_as(std::string example) {
    option_.example = std::move(example);
    return *this;
  }

  Declared& size() {
    option_.kind = Kind::size;
    return *this;
  }

  Declared& at_least(double least) {
    option_.least = least;
    return *this;
  }

  Declared& between(double least, double most) {
    option_.least = least;
    option_.most = most;
    return *this;
  }

  Declared& one_of(std::vector<std::string> choices, std::vector<std::string> later = {}) {
    option_.choices = std::move(choices);
    option_.later_choices = std::move(later);
    return *this;
  }

  Declared& path() {
    option_.path = true;
    return *this;
  }

  Declared& secret() {
    option_.secret = true;
    return *this;
  }

  Declared& must_be(bool (*valid)(std::string_view), std::string words) {
    option_.valid = valid;
    option_.valid_words = std::move(words);
    return *this;
  }

  Declared& default_is(Value value) {
    option_.default_value = std::move(value);
    return *this;
  }

 private:
  Option& option_;
};

/// The options of the struct S, in order.
template <class S>
class Options {
 public:
  template <class F>
  Declared add(std::string key, F S::*member, std::string sentence) {
    using Field = FieldKind<F>;
    return add_with(
        std::move(key), Field::kind, std::move(sentence),
        [member](S& owner, const Value& value) { owner.*member = Field::from(value); },
        [member](const S& owner) { return Field::to(owner.*member); }, largest<F>());
  }

  /// For fields that do not travel as they are: an endpoint, a part of an optional struct.
  template <class Set, class Get>
  Declared add_with(std::string key, Kind kind, std::string sentence, Set set, Get get,
                    std::optional<double> most = std::nullopt) {
    Option& option = *options_.emplace_back(std::make_unique<Option>());
    option.key = std::move(key);
    option.kind = kind;
    option.sentence = std::move(sentence);
    option.most = most;
    option.set = [set](void* owner, const Value& value) { set(*static_cast<S*>(owner), value); };
    option.get = [get](const void* owner) { return get(*static_cast<const S*>(owner)); };
    option.default_value = option.get(&fresh_);
    return Declared(option);
  }

  std::vector<Option> take() {
    std::vector<Option> out;
    for (auto& option : options_) out.push_back(std::move(*option));
    return out;
  }

 private:
  template <class F>
  static std::optional<double> largest() {
    if constexpr (std::is_same_v<F, std::optional<std::uint32_t>>) {
      return std::numeric_limits<std::uint32_t>::max();
    } else if constexpr (std::is_unsigned_v<F> && !std::is_same_v<F, bool> && sizeof(F) < 8) {
      return std::numeric_limits<F>::max();
    } else {
      return std::nullopt;
    }
  }

  const S fresh_{};
  std::vector<std::unique_ptr<Option>> options_;  // unique_ptr: Declared points at them
};

}  // namespace mansio::settings
