#include "settings/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace mansio::settings {
namespace {

using testing::HasSubstr;
using testing::Not;

const char* const file = R"([server]
hostname = "mail.example.org"
[spool]
url = "memory:"
[[listener]]
address = "127.0.0.1:2525"
[route."*"]
next_hop = ["127.0.0.1"]
tls = "required"
auth = { user = "me", password = "geheim" }
[retry]
intervals = ["1m", "1h"]
[destination."example.com"]
connections = 3
[route."*".sender."*@news.example"]
port = 587
)";

TEST(Declaration, EveryOptionHasASentenceAndADefaultOrAnExample) {
  std::set<std::string> keys;
  for (const Section& section : sections()) {
    EXPECT_TRUE(section.sentence.ends_with('.')) << section.name;
    for (const Option& option : section.options) {
      const std::string key = full_key(section, option);
      EXPECT_TRUE(keys.insert(key).second) << key << " is declared twice";
      EXPECT_TRUE(option.sentence.ends_with('.') || option.sentence.ends_with(')')) << key;
      EXPECT_TRUE(option.default_value || !option.example.empty()) << key;
      EXPECT_TRUE(option.set && option.get) << key;
    }
  }
  EXPECT_GT(keys.size(), 70u);
}

TEST(Describe, FindsAKeyInEveryWayToWriteIt) {
  for (const char* key : {"route.next_hop", "route.\"*\".next_hop", "route.\"pattern\".next_hop",
                          "route.\"a.b\".next_hop"}) {
    const auto found = find_described(key);
    ASSERT_TRUE(found) << key;
    EXPECT_EQ(found->option->key, "next_hop");
  }
  EXPECT_EQ(find_described("listener[0].address")->option->key, "address");
  EXPECT_EQ(find_described("listener[].address")->option->key, "address");
  EXPECT_EQ(find_described("channel.archive.type")->option->key, "type");
  EXPECT_EQ(find_described("route.auth.user")->option->key, "auth.user");
  EXPECT_EQ(find_described("limits")->option, nullptr);
  EXPECT_FALSE(find_described("limits.mesage"));
  EXPECT_EQ(nearest_key("limits.mesage"), "limits.message");
  EXPECT_TRUE(is_later_key("tenant.x"));
  EXPECT_EQ(find_described("route.\"*\".sender.\"*@a.b\".port")->option->key, "port");
  EXPECT_TRUE(is_later_key("destination.\"x.y\".rollup"));
  EXPECT_FALSE(is_later_key("limits.message"));
}

TEST(Describe, TellsTypeRangeAndDefault) {
  const std::string text = describe(*find_described("limits.message"));
  EXPECT_THAT(text, HasSubstr("limits.message\n"));
  EXPECT_THAT(text, HasSubstr("size"));
  EXPECT_THAT(text, HasSubstr("at least 1KiB"));
  EXPECT_THAT(text, HasSubstr("\"50MiB\""));
  EXPECT_THAT(describe(*find_described("route.port")), HasSubstr("1 to 65535"));
  EXPECT_THAT(describe(*find_described("server.hostname")), HasSubstr("required"));
}

TEST(Defaults, TheFileLoadsAndSaysTheDefaults) {
  const std::string text = defaults_file();
  const Loaded loaded = parse(text, "/etc/mansio/mansio.toml");
  const Settings fresh;
  EXPECT_EQ(loaded.settings.retry.lifetime, fresh.retry.lifetime);
  EXPECT_EQ(loaded.settings.limits.memory, fresh.limits.memory);
  EXPECT_EQ(loaded.settings.timeouts.final_dot, fresh.timeouts.final_dot);
  EXPECT_EQ(loaded.settings.admin.listen, fresh.admin.listen);
  for (const Section& section : sections()) {
    EXPECT_THAT(text, HasSubstr("[" + section.name));
    for (const Option& option : section.options) EXPECT_THAT(text, HasSubstr(option.key + " = "));
  }
}

TEST(Effective, SaysWhereEachValueComesFrom) {
  const std::string text = effective_file(parse(file, "/x/m.toml"), "/x/m.toml");
  EXPECT_THAT(text, testing::ContainsRegex("connections = 3 +# /x/m.toml:14\n"));
  EXPECT_THAT(text, testing::ContainsRegex("recipients_per_transaction = 100 +# default\n"));
  EXPECT_THAT(text, testing::ContainsRegex("next_hop = ..127.0.0.1:25.. +# /x/m.toml:8\n"));
  EXPECT_THAT(text, testing::ContainsRegex("port = 587 +# /x/m.toml:16\n"));
  EXPECT_THAT(text, HasSubstr("[route.\"*\".sender.\"*@news.example\"]\n"));
}

TEST(Effective, LoadsAgainAndSaysTheSame) {
  const Loaded first = parse(file, "/x/m.toml");
  const Loaded second = parse(effective_file(first, "/x/m.toml"), "/x/n.toml");
  EXPECT_EQ(second.settings.retry.intervals, first.settings.retry.intervals);
  const auto a = effective_values(first), b = effective_values(second);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].key, b[i].key);
    EXPECT_EQ(a[i].value, b[i].value);
  }
}

TEST(Effective, NeverShowsASecret) {
  EXPECT_THAT(effective_file(parse(file, "/x/m.toml"), "/x/m.toml"), Not(HasSubstr("geheim")));
}

TEST(Manual, NamesEveryOptionAndWhatIsNotThereYet) {
  const std::string page = manual_page();
  for (const Section& section : sections()) {
    for (const Option& option : section.options) EXPECT_THAT(page, HasSubstr("| `" + option.key));
    for (const LaterKey& later : section.later) EXPECT_THAT(page, HasSubstr("`" + later.key));
  }
  for (const LaterSection& later : later_sections()) EXPECT_THAT(page, HasSubstr(later.name));
}

}  // namespace
}  // namespace mansio::settings
