// The scheduler under more due mail than memory takes: how much is in the windows, and whether
// every lane gets its turn. The disk is a model; sessions work on what they are given at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "schedule/schedule_test_kit.h"
#include "schedule/scheduler.h"

namespace mansio::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t message_octets = 1000;

class Backlog {
 public:
  explicit Backlog(SchedulerOptions options) : scheduler(std::move(options)) {}

  /// On disk, and the scheduler is told of it.
  void put(const FlowKey& key, Time due, std::size_t octets = message_octets) {
    Entry entry;
    entry.place = {due, id_of(++numbers_)};
    entry.expires_at = due + hours(100);
    entry.recipients.push_back({});
    auto message = std::make_shared<Message>();
    message->id = entry.place.id;
    message->lanes.push_back(key.lane);
    entry.message = std::move(message);
    entry.octets = octets;
    const DueCursor place = entry.place;
    disk_[key].emplace(place, std::move(entry));
    scheduler.on_disk(key, place, now);
  }

  /// All pages that are asked for arrive, and every session works on one entry.
  void step() {
    for (const Action& action : scheduler.take_actions()) {
      if (const auto* open = std::get_if<OpenSession>(&action)) ++sessions_[open->lane];
      if (const auto* load = std::get_if<LoadPage>(&action)) answer(*load);
    }
    look();
    auto sessions = std::exchange(sessions_, {});
    for (const auto& [lane, count] : sessions) {
      for (std::uint32_t i = 0; i < count; ++i) work(lane);
    }
    now += seconds(1);
    if (scheduler.next_wakeup() && *scheduler.next_wakeup() <= now) scheduler.tick(now);
  }

  std::size_t on_disk() const {
    std::size_t count = 0;
    for (const auto& [key, entries] : disk_) count += entries.size();
    return count;
  }

  std::size_t on_disk(const FlowKey& key) const {
    const auto found = disk_.find(key);
    return found == disk_.end() ? 0 : found->second.size();
  }

  Scheduler scheduler;
  Time now = start;
  std::size_t entries_most = 0, octets_most = 0, lanes_most = 0, pages = 0;
  std::vector<std::string> served;  ///< destinations, in order
  std::set<std::string> stuck;      ///< a session of these never ends its first transaction

 private:
  void answer(const LoadPage& load) {
    ++pages;
    std::vector<Entry> entries;
    bool end = true;
    const auto& stored = disk_[load.flow];
    for (auto at = load.after ? stored.upper_bound(*load.after) : stored.begin();
         at != stored.end(); ++at) {
      if (entries.size() == load.limit) {
        end = false;
        break;
      }
      entries.push_back(at->second);
    }
    scheduler.page_loaded(load.flow, std::move(entries), end, now);
    look();
  }

  void work(const LaneKey& lane) {
    auto taken = scheduler.take(lane, 0, now);
    if (!taken) {
      scheduler.session_ended(lane, now);
      return;
    }
    served.push_back(lane.destination);
    if (stuck.contains(lane.destination)) return;
    disk_[taken->first].erase(taken->second.place);
    scheduler.lane_recovered(lane, now);
    scheduler.finished(taken->first, taken->second.place, now);
    ++sessions_[lane];
  }

  void look() {
    entries_most = std::max(entries_most, scheduler.window_entries());
    octets_most = std::max(octets_most, scheduler.window_octets());
    lanes_most = std::max(lanes_most, scheduler.lanes());
  }

  std::map<FlowKey, std::map<DueCursor, Entry>> disk_;
  std::map<LaneKey, std::uint32_t> sessions_;
  std::uint64_t numbers_ = 0;
};

std::string name(std::size_t number) { return "d" + std::to_string(number) + ".example"; }

void expect_nothing_left(const Scheduler& scheduler) {
  EXPECT_EQ(scheduler.lanes(), 0u);
  EXPECT_EQ(scheduler.sleeping_lanes(), 0u);
  EXPECT_EQ(scheduler.window_entries(), 0u);
  EXPECT_EQ(scheduler.window_octets(), 0u);
  EXPECT_EQ(scheduler.entries_in_flight(), 0u);
}

TEST(Backlog, ManyLanesThatAreDueAtOnceAreLoadedInTurnAndInBounds) {
  SchedulerOptions options;
  options.window_octets = 200 * message_octets;
  options.sessions_max = 100;
  Backlog backlog(options);
  constexpr std::size_t lanes = 20'000;
  // The one that is due longest comes last.
  for (std::size_t i = 0; i < lanes; ++i) {
    backlog.put(flow_to(name(i)), start + hours(1) - std::chrono::milliseconds(i));
  }
  EXPECT_EQ(backlog.scheduler.lanes(), 0u);
  backlog.now = start + hours(2);
  backlog.scheduler.tick(backlog.now);
  for (int i = 0; i < 5000 && backlog.on_disk() > 0; ++i) backlog.step();
  EXPECT_EQ(backlog.on_disk(), 0u);
  EXPECT_LE(backlog.octets_most, options.window_octets + 2 * message_octets);
  EXPECT_LE(backlog.lanes_most, 100u + 200u + 1000u);
  ASSERT_EQ(backlog.served.size(), lanes);
  for (std::size_t i = 0; i < lanes; ++i) {
    const std::string expected_near = name(lanes - 1 - i);
    const auto at = std::stoul(backlog.served[i].substr(1));
    ASSERT_NEAR(static_cast<double>(at), static_cast<double>(lanes - 1 - i), 1500.0) << i;
  }
  for (int i = 0; i < 10; ++i) backlog.step();
  expect_nothing_left(backlog.scheduler);
}

TEST(Backlog, AGiantDoesNotKeepSmallLanesFromLoading) {
  SchedulerOptions options;
  options.window_octets = 100 * message_octets;
  Backlog backlog(options);
  for (int giant = 0; giant < 3; ++giant) {
    for (int i = 0; i < 5000; ++i) backlog.put(flow_to("giant" + std::to_string(giant)), start);
  }
  for (int i = 0; i < 20; ++i) backlog.step();
  for (std::size_t i = 0; i < 300; ++i) backlog.put(flow_to(name(i)), backlog.now);
  for (int i = 0; i < 60; ++i) backlog.step();
  for (std::size_t i = 0; i < 300; ++i) EXPECT_EQ(backlog.on_disk(flow_to(name(i))), 0u) << i;
  EXPECT_GT(backlog.on_disk(flow_to("giant0")), 0u);
  const std::size_t left = backlog.on_disk();
  for (int i = 0; i < 20; ++i) backlog.step();
  EXPECT_LT(backlog.on_disk() + 300, left) << "and the giants go on";
  EXPECT_LE(backlog.octets_most, options.window_octets + 2 * message_octets);
}

TEST(Backlog, LanesWhoseSessionsHangDoNotKeepTheOthersFromLoading) {
  SchedulerOptions options;
  options.window_octets = 300 * message_octets;
  Backlog backlog(options);
  for (std::size_t i = 0; i < 60; ++i) {
    const std::string tarpit = "tarpit" + std::to_string(i);
    backlog.stuck.insert(tarpit);
    for (int k = 0; k < 500; ++k) backlog.put(flow_to(tarpit), start);
  }
  for (int i = 0; i < 20; ++i) backlog.step();
  for (std::size_t i = 0; i < 500; ++i) backlog.put(flow_to(name(i)), backlog.now);
  for (int i = 0; i < 100; ++i) backlog.step();
  std::size_t left = 0;
  for (std::size_t i = 0; i < 500; ++i) left += backlog.on_disk(flow_to(name(i)));
  EXPECT_EQ(left, 0u);
}

TEST(Backlog, NewMailDoesNotOvertakeLanesThatWaitOnDisk) {
  SchedulerOptions options;
  options.window_octets = 50 * message_octets;
  options.sessions_max = 10;
  Backlog backlog(options);
  for (std::size_t i = 0; i < 500; ++i) backlog.put(flow_to("old" + std::to_string(i)), start);
  std::size_t fresh = 0;
  for (int i = 0; i < 200; ++i) {
    backlog.step();
    for (int k = 0; k < 20; ++k) {
      const FlowKey key = flow_to(name(fresh++));
      Entry entry;
      entry.place = {backlog.now, id_of(1'000'000 + fresh)};
      entry.expires_at = backlog.now + hours(1);
      entry.recipients.push_back({});
      entry.octets = message_octets;
      backlog.scheduler.add(key, std::move(entry), backlog.now);
    }
  }
  std::size_t left = 0;
  for (std::size_t i = 0; i < 500; ++i) left += backlog.on_disk(flow_to("old" + std::to_string(i)));
  EXPECT_EQ(left, 0u);
}

TEST(Backlog, LargeMessagesCountWithTheirMemory) {
  SchedulerOptions options;
  options.window_octets = 1 << 20;
  options.sessions_max = 5;
  Backlog backlog(options);
  for (std::size_t i = 0; i < 2000; ++i) backlog.put(flow_to(name(i % 50)), start, 100'000);
  for (int i = 0; i < 1000 && backlog.on_disk() > 0; ++i) backlog.step();
  EXPECT_EQ(backlog.on_disk(), 0u);
  EXPECT_LE(backlog.octets_most, options.window_octets + 10 * 100'000u)
      << "a few pages may have been asked for before it was known";
}

TEST(Backlog, OneLargerThanAllMemoryComesToo) {
  SchedulerOptions options;
  options.window_octets = 10'000;
  Backlog backlog(options);
  for (std::size_t i = 0; i < 20; ++i) backlog.put(flow_to(name(i % 2)), start, 50'000);
  for (int i = 0; i < 200 && backlog.on_disk() > 0; ++i) backlog.step();
  EXPECT_EQ(backlog.on_disk(), 0u);
}

TEST(Backlog, AMessageOfManyLanesTakesItsMemoryOnce) {
  Scheduler scheduler({});
  auto message = std::make_shared<Message>();
  for (std::size_t i = 0; i < 100; ++i) message->lanes.push_back({name(i), "default"});
  for (std::size_t i = 0; i < 100; ++i) {
    Entry entry;
    entry.place = {start, id_of(1)};
    entry.expires_at = start + hours(1);
    entry.recipients.push_back({static_cast<std::uint32_t>(i), 0, 0});
    entry.message = message;
    entry.octets = 1'000'000;
    EXPECT_TRUE(scheduler.add(flow_to(name(i)), std::move(entry), start));
  }
  EXPECT_GT(scheduler.window_octets(), 1'000'000u);
  EXPECT_LT(scheduler.window_octets(), 1'100'000u);
  for (std::size_t i = 0; i < 100; ++i) {
    auto taken = scheduler.take({name(i), "default"}, 0, start);
    ASSERT_TRUE(taken);
    scheduler.finished(taken->first, taken->second.place, start);
  }
  EXPECT_EQ(scheduler.window_octets(), 0u);
}

TEST(Backlog, ManySuspendedLanesCostNothingAndComeBackInTurn) {
  bool suspended = true;
  SchedulerOptions options;
  options.window_octets = 200 * message_octets;
  options.lane_options = [&suspended](const LaneKey&) {
    return LaneOptions{32, suspended ? Time::max() : Time{}};
  };
  Backlog backlog(options);
  for (std::size_t i = 0; i < 10'000; ++i) backlog.put(flow_to(name(i)), start);
  for (int i = 0; i < 100; ++i) backlog.step();
  EXPECT_EQ(backlog.pages, 0u) << "nothing is read";
  EXPECT_EQ(backlog.scheduler.lanes(), 0u);
  EXPECT_EQ(backlog.scheduler.sleeping_lanes(), 10'000u);
  EXPECT_FALSE(backlog.scheduler.next_wakeup());
  suspended = false;
  backlog.scheduler.set_options(options, backlog.now);
  for (int i = 0; i < 2000 && backlog.on_disk() > 0; ++i) backlog.step();
  EXPECT_EQ(backlog.on_disk(), 0u);
  EXPECT_LE(backlog.octets_most, options.window_octets + 2 * message_octets);
  for (int i = 0; i < 10; ++i) backlog.step();
  expect_nothing_left(backlog.scheduler);
}

TEST(Backlog, ALaneInTroubleIsForgottenWhenItsMailIsGoneAndItsRestIsOver) {
  Backlog backlog({});
  backlog.put(flow_to("a.example"), start);
  for (const Action& action : backlog.scheduler.take_actions()) {
    if (const auto* load = std::get_if<LoadPage>(&action)) {
      backlog.scheduler.page_loaded(load->flow, {}, true, start);
    }
  }
  backlog.scheduler.lane_troubled({"a.example", "default"}, {}, start + minutes(5), start);
  EXPECT_EQ(backlog.scheduler.lanes(), 0u);
  EXPECT_EQ(backlog.scheduler.failures({"a.example", "default"}), 1u);
  ASSERT_TRUE(backlog.scheduler.next_wakeup());
  backlog.scheduler.tick(*backlog.scheduler.next_wakeup());
  expect_nothing_left(backlog.scheduler);
  EXPECT_EQ(backlog.scheduler.failures({"a.example", "default"}), 0u);
}

TEST(Backlog, ALaneOfManyFlowsServesThemAll) {
  SchedulerOptions options;
  options.window_octets = 50 * message_octets;
  Backlog backlog(options);
  for (std::uint32_t number = 0; number < 2000; ++number) {
    FlowKey key = flow_to("a.example", static_cast<PriorityClass>(number % 4));
    key.flow = number;
    backlog.put(key, start + seconds(number % 7));
  }
  backlog.now = start + seconds(10);
  backlog.scheduler.tick(backlog.now);
  for (int i = 0; i < 3000 && backlog.on_disk() > 0; ++i) backlog.step();
  EXPECT_EQ(backlog.on_disk(), 0u);
  for (int i = 0; i < 10; ++i) backlog.step();
  expect_nothing_left(backlog.scheduler);
}

}  // namespace
}  // namespace mansio::schedule
