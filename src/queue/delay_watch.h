// Tells senders that their mail waits. Not part of settling an attempt: a recipient behind a dead
// destination is never tried itself, and its sender is to be told all the same.
//
// For each age of [notify] delay a cursor walks the messages in the order of acceptance, so each
// message is looked at once per age, when it has reached it. A message that has passed several ages
// at once (after a restart, or with new settings) is told of once: only the cursor of the highest
// age that it has passed may tell, and the count of notices in its status then stands for all of
// them. That count also makes it no matter that cursors begin anew with the process.
//
// A listing begins at the ids of its time. Mail that lay in the maildrop for long has an older one,
// so a walk whose time such mail came in begins at the oldest message.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/event.h"
#include "base/stream.h"
#include "queue/notices.h"
#include "queue/spool_gate.h"
#include "schedule/scheduler.h"
#include "settings/settings.h"
#include "spool/spool.h"

namespace mansio::queue {

/// Runs on: one loop, but for arrived_late().
class DelayWatch {
 public:
  struct Ports {
    spool::Spool& spool;
    Clock& clock;
    SpoolGate& gate;
    NoticeMaker& notices;
    std::function<std::shared_ptr<const settings::Settings>()> settings;
    /// What the lane is doing, to say why a recipient waits that was never tried.
    std::function<Task<std::optional<schedule::LaneView>>(LaneKey)> lane_view;
    /// Hands committed notices to the shards of their lanes.
    std::function<void(const spool::Admit&)> dispatch;
    std::function<bool()> stopping;
  };

  explicit DelayWatch(Ports ports) : ports_(std::move(ports)) {}

  /// Until it is cancelled or stopping() says so.
  Task<void> run();
  /// The ages may have changed: the next pass comes at once.
  void settings_changed();

  /// A message was accepted whose id is older than spool::arrival_max. From any thread.
  void arrived_late(Time accepted_at);

 private:
  using SettingsPtr = std::shared_ptr<const settings::Settings>;

  Task<void> wait_for_the_next_pass();
  Task<void> walk(SettingsPtr settings, std::size_t age);
  Task<void> add_changes(SettingsPtr settings, std::size_t age, spool::StoredMessagePtr stored,
                         std::vector<spool::Operation>& operations);
  Task<bool> submit(std::vector<spool::Operation> operations);
  Task<bool> is_bulk(const Message& message);
  Task<dsn::ReportedRecipient> report_of(const spool::StoredMessage& stored,
                                         std::uint32_t recipient);
  void take_ages(const settings::Notify& notify);
  void forget_late_ones();
  bool any_late(Time from, Time until);

  Ports ports_;
  std::vector<Duration> ages_;        ///< ascending, each once
  std::map<Duration, Time> cursors_;  ///< per age: what was accepted before it was walked
  std::unique_ptr<Event> wake_;       ///< of the loop that run() is on
  bool fresh_settings_ = false;

  std::mutex late_mutex_;
  std::set<Time> late_;  // guarded by late_mutex_; minutes in which mail with an old id came in
};

}  // namespace mansio::queue
