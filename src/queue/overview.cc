// What all of the queue looks like: its lanes, its shape, its numbers.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "queue/queue_impl.h"

namespace mansio {
namespace {

constexpr std::size_t lanes_per_page = 1000;
constexpr std::size_t messages_per_page = 1000;
/// Destinations that are counted by name; what comes when there are so many counts in `all` only.
constexpr std::size_t destinations_max = 100'000;

std::size_t column_of(Duration age, const std::vector<Duration>& bounds) {
  return static_cast<std::size_t>(std::upper_bound(bounds.begin(), bounds.end(), age) -
                                  bounds.begin());
}

void count(Shape::Row& row, std::size_t column, std::size_t columns, std::uint64_t recipients) {
  row.by_age.resize(columns);
  row.by_age[column] += recipients;
  row.total += recipients;
}

}  // namespace

/// What the shards know of these lanes, in one visit to each.
Task<void> Queue::Impl::add_views(std::vector<LaneStatus>& lanes, std::size_t begin) {
  const Time now = ports.clock.now();
  const auto stopped = suspensions();
  std::vector<std::vector<std::size_t>> by_shard(shards_.size());
  for (std::size_t i = begin; i < lanes.size(); ++i) by_shard[shard_of(lanes[i].lane)].push_back(i);
  using Views = std::vector<std::optional<schedule::LaneView>>;
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    if (by_shard[index].empty()) continue;
    std::function<Views()> look = [&shard = *shards_[index], &mine = by_shard[index], &lanes] {
      Views views;
      for (const std::size_t i : mine) views.push_back(shard.view(lanes[i].lane));
      return views;
    };
    auto looking = queue::run_on(ports.loops[index], std::move(look));
    const Views views = co_await std::move(looking);
    for (std::size_t k = 0; k < views.size(); ++k) {
      LaneStatus& status = lanes[by_shard[index][k]];
      if (const auto* suspension = stopped->shown(status.lane, now)) {
        status.suspension = *suspension;
      }
      if (!views[k]) continue;
      status.due = views[k]->due_in_window;
      status.in_flight = views[k]->in_flight;
      status.sessions = views[k]->sessions;
      if (views[k]->delayed_until <= now) continue;
      status.delayed_until = views[k]->delayed_until;
      status.trouble = views[k]->trouble.reply.to_string();
    }
  }
}

Task<std::vector<LaneStatus>> Queue::Impl::lanes() {
  std::vector<LaneStatus> all;
  std::string resume;
  do {
    auto reading = read<spool::LanePage>([this, &resume](spool::Done<spool::LanePage> done) {
      ports.spool.lanes(resume, lanes_per_page, std::move(done));
    });
    const Result<spool::LanePage> page = co_await std::move(reading);
    if (!page) co_return all;
    resume = page->resume;
    const std::size_t begin = all.size();
    for (const spool::LaneSummary& summary : page->lanes) {
      LaneStatus& status = all.emplace_back();
      status.lane = summary.lane;
      status.queued = summary.queued;
      status.held = summary.held;
      status.oldest = summary.oldest;
    }
    auto adding = add_views(all, begin);
    co_await std::move(adding);
  } while (!resume.empty());
  co_return all;
}

Task<Result<Shape>> Queue::Impl::shape(QueueSelector selector, std::vector<Duration> bounds,
                                       std::size_t rows_max) {
  std::sort(bounds.begin(), bounds.end());
  const std::size_t columns = bounds.size() + 1;
  if (!selector.state && selector.stored.selects_nothing()) selector.stored.everything = true;
  Shape shape;
  shape.bounds = bounds;
  shape.all.by_age.resize(columns);
  std::unordered_map<std::string, Shape::Row> rows;
  std::string resume;
  do {
    auto listing = list_page(selector, resume, messages_per_page, States::if_selected);
    const Result<QueueListPage> page = co_await std::move(listing);
    if (!page) co_return page.error();
    resume = page->resume;
    const Time now = ports.clock.now();
    for (const ListedMessage& listed : page->messages) {
      const Message& message = listed.message->message;
      const std::size_t column = column_of(now - message.accepted_at, bounds);
      count(shape.all, column, columns, listed.matching.size());
      for (const std::uint32_t recipient : listed.matching) {
        const std::string& destination = message.lanes[recipient].destination;
        auto row = rows.find(destination);
        if (row == rows.end()) {
          if (rows.size() >= destinations_max) continue;
          row = rows.try_emplace(destination).first;
          row->second.destination = destination;
        }
        count(row->second, column, columns, 1);
      }
    }
  } while (!resume.empty());
  for (auto& [destination, row] : rows) shape.rows.push_back(std::move(row));
  std::sort(shape.rows.begin(), shape.rows.end(), [](const Shape::Row& a, const Shape::Row& b) {
    return a.total != b.total ? a.total > b.total : a.destination < b.destination;
  });
  if (shape.rows.size() > rows_max) shape.rows.resize(rows_max);
  co_return shape;
}

Task<std::vector<LaneStatus>> Queue::lanes() { return impl_->lanes(); }

Task<Result<Shape>> Queue::shape(QueueSelector selector, std::vector<Duration> bounds,
                                 std::size_t rows_max) {
  return impl_->shape(std::move(selector), std::move(bounds), rows_max);
}

}  // namespace mansio
