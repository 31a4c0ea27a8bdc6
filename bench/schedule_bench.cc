// The scheduler alone, on virtual time and without a disk: CPU per message on the way that ordinary
// mail takes, and memory per lane that only waits. Prints one JSON object per run:
//
//   schedule_bench [--messages N] [--sleepers N] [LANES...]
//
// Each message is added with its octets in memory, taken by a session of its lane, and finished;
// as many are outstanding in a lane as `backlog` says. Sleepers: lanes of one message that is due
// later.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "schedule/schedule_test_kit.h"
#include "schedule/scheduler.h"

namespace {

using namespace mansio;
using namespace mansio::schedule;

FlowKey flow_of_lane(std::size_t number) {
  FlowKey flow;
  flow.lane.destination = "d" + std::to_string(1'000'000 + number) + ".bench.example";
  return flow;
}

std::shared_ptr<const Message> message_of(const QueueId& id, const FlowKey& flow) {
  auto message = std::make_shared<Message>();
  message->id = id;
  message->lanes.push_back(flow.lane);
  return message;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// What the daemon's shard does for a message, as far as the scheduler is concerned.
void run_messages(std::size_t lanes, std::uint64_t messages, std::size_t backlog) {
  Scheduler scheduler({});
  std::vector<FlowKey> flows;
  for (std::size_t lane = 0; lane < lanes; ++lane) flows.push_back(flow_of_lane(lane));
  std::vector<std::shared_ptr<const Message>> made;
  for (std::uint64_t number = 0; number < messages; ++number) {
    made.push_back(message_of(id_of(number), flows[number % lanes]));
  }
  std::vector<std::uint32_t> sessions(lanes);
  Time now = start;
  std::uint64_t added = 0, done = 0;
  std::vector<std::pair<FlowKey, DueCursor>> flying;
  const auto begin = std::chrono::steady_clock::now();
  while (done < messages) {
    const std::uint64_t until = std::min<std::uint64_t>(added + lanes * backlog, messages);
    const std::uint64_t first = added;
    for (; added < until; ++added) {
      now += Duration(10);
      const FlowKey& flow = flows[added % lanes];
      Entry entry;
      entry.place = {now, made[added]->id};
      entry.expires_at = now + std::chrono::hours(100);
      entry.recipients.push_back({});
      entry.message = made[added];
      scheduler.add(flow, std::move(entry), now);
      scheduler.take_actions();
    }
    for (std::uint64_t number = first; number < until; ++number) {
      const FlowKey& flow = flows[number % lanes];
      if (!scheduler.has_work(flow.lane, now)) continue;
      while (auto taken = scheduler.take(flow.lane, 100, now)) {
        scheduler.take_actions();
        flying.emplace_back(std::move(taken->first), taken->second.place);
      }
    }
    for (const auto& [flow, place] : flying) {
      scheduler.lane_recovered(flow.lane, now);
      scheduler.finished(flow, place, now);
      scheduler.take_actions();
      ++done;
    }
    if (flying.empty()) break;
    flying.clear();
    scheduler.next_wakeup();
    scheduler.tick(now);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      if (const auto view = scheduler.view(flows[lane].lane, now)) {
        for (std::uint32_t i = 0; i < view->sessions; ++i) {
          scheduler.session_ended(flows[lane].lane, now);
        }
      }
    }
    scheduler.take_actions();
  }
  std::printf("{\"lanes\":%zu,\"backlog\":%zu,\"messages\":%llu,\"ns_per_message\":%.0f}\n", lanes,
              backlog, static_cast<unsigned long long>(done),
              seconds_since(begin) * 1e9 / static_cast<double>(done));
}

std::size_t octets_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

void run_sleepers(std::size_t lanes) {
  const std::size_t before = octets_in_use();
  Scheduler scheduler({});
  auto begin = std::chrono::steady_clock::now();
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    scheduler.on_disk(flow_of_lane(lane), {start + std::chrono::milliseconds(lane), id_of(lane)},
                      start - std::chrono::hours(1));
  }
  const double noted = seconds_since(begin);
  const double octets = static_cast<double>(octets_in_use() - before);
  begin = std::chrono::steady_clock::now();
  SchedulerOptions options;
  scheduler.set_options(options, start - std::chrono::hours(1));
  const double set = seconds_since(begin);
  // All of them come due, are read, and turn out to be empty.
  begin = std::chrono::steady_clock::now();
  const Time now = start + std::chrono::hours(1000);
  scheduler.tick(now);
  std::uint64_t pages = 0;
  for (auto actions = scheduler.take_actions(); !actions.empty();
       actions = scheduler.take_actions()) {
    for (const Action& action : actions) {
      const auto* load = std::get_if<LoadPage>(&action);
      if (load == nullptr) continue;
      ++pages;
      scheduler.page_loaded(load->flow, {}, true, now);
    }
  }
  std::printf(
      "{\"sleepers\":%zu,\"octets_per_lane\":%.1f,\"ns_per_note\":%.0f,\"set_options_ms\":%.1f,"
      "\"pages\":%llu,\"ns_per_page\":%.0f}\n",
      lanes, octets / static_cast<double>(lanes), noted * 1e9 / static_cast<double>(lanes),
      set * 1e3, static_cast<unsigned long long>(pages),
      seconds_since(begin) * 1e9 / static_cast<double>(pages));
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t messages = 1'000'000;
  std::size_t sleepers = 1'000'000;
  std::vector<std::size_t> lanes;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--messages" && i + 1 < argc) {
      messages = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--sleepers" && i + 1 < argc) {
      sleepers = std::strtoull(argv[++i], nullptr, 10);
    } else {
      lanes.push_back(std::strtoull(argument.c_str(), nullptr, 10));
    }
  }
  if (lanes.empty()) lanes = {1, 100, 10'000};
  for (const std::size_t count : lanes) {
    if (messages > 0) run_messages(count, messages, 1);
    if (messages > 0 && count <= 1000) run_messages(count, messages, 20);
  }
  if (sleepers > 0) run_sleepers(sleepers);
  return 0;
}
