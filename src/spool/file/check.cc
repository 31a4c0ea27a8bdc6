// The offline audit. Opening catches the index up with the journal, as a start does; then every
// group of every segment is read, and every row of the index is compared with what it must be.
#include <fmt/format.h>

#include <map>

#include "base/log.h"
#include "spool/file/keys.h"
#include "spool/file/readers.h"
#include "spool/file/store.h"

namespace mansio::spool {
namespace {

class Audit {
 public:
  Audit(Store& store, CheckReport& report) : store_(store), report_(report), view_(*store.index) {}

  void run() {
    journal();
    messages();
    orphans();
    due();
    counters();
    totals();
    segments();
  }

 private:
  template <class... Arguments>
  void problem(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    report_.problems.push_back(fmt::format(text, std::forward<Arguments>(arguments)...));
  }

  void journal();
  void messages();
  void message(const QueueId& id, const MessageRow& row);
  void orphans();
  void due();
  void counters();
  void totals();
  void segments();
  void scan(Family family, const Index::View::Visit& visit, const char* name);

  Store& store_;
  CheckReport& report_;
  Index::View view_;
  std::uint64_t due_expected_ = 0;
  std::map<std::string, LaneRow> lanes_;
  std::map<std::string, FlowRow> flows_;
  std::map<std::string, Totals> totals_;
  std::map<std::uint64_t, LiveRow> live_;
};

void Audit::scan(Family family, const Index::View::Visit& visit, const char* name) {
  if (auto done = view_.scan(family, "", "", visit); !done) {
    problem("index: {} cannot be read to the end: {}", name, done.error().message());
  }
}

void Audit::journal() {
  std::uint64_t expected = 0;
  for (const SegmentPtr& segment : store_.journal->segments()) {
    ++report_.segments;
    const std::uint64_t first = segment->header.first_group;
    auto end = scan_groups(*segment, segment_header_size, first, [&](const GroupView& group) {
      report_.records += group.records.size();
      for (const RecordAt& record : group.records) {
        if (!decode_record(record.view)) {
          problem("{}: the record at {} does not decode", segment->path.string(), record.offset);
        }
      }
      return true;
    });
    if (!end) {
      problem("{}: {}", segment->path.string(), end.error().message());
      continue;
    }
    if (end->damaged) {
      std::string text = fmt::format("{}: damaged at {}", segment->path.string(), end->offset);
      // What a rebuild has just left out is what it was called for.
      (report_.rebuilt ? report_.notes : report_.problems).push_back(std::move(text));
    }
    // Segments between may have been recycled; a gap shows only where neighbours remain.
    const bool neighbour = segment->header.durable >= first - 1;
    if (expected != 0 && neighbour && first < expected) {
      problem("{}: its groups overlap those before", segment->path.string());
    }
    expected = end->last_group + 1;
  }
}

void Audit::messages() {
  scan(
      Family::messages,
      [&](std::string_view key, std::string_view) {
        const auto id = parse_message_key(key);
        if (!id) {
          problem("index: a key of a message does not decode");
          return true;
        }
        auto row = view_.message(*id);
        if (!row || !*row) {
          problem("message {}: its record does not decode", id->to_string());
          return true;
        }
        message(*id, **row);
        return true;
      },
      "messages");
}

void Audit::message(const QueueId& id, const MessageRow& row) {
  const StoredMessage& stored = row.stored;
  ++report_.messages;
  report_.recipients += stored.recipients.size();
  if (auto content = read_stored_content(store_, row, 0, UINT64_MAX); !content) {
    problem("message {}: its content is missing or does not have its checksum", id.to_string());
  } else {
    ++report_.contents;
  }
  for (const DueChange& entry : due_entries(stored)) {
    ++due_expected_;
    auto found = view_.get(Family::due, due_key(entry.flow, entry.due, id));
    std::vector<std::uint32_t> recipients;
    if (!found || !*found || !decode_row(**found, recipients) || recipients != entry.recipients) {
      problem("message {}: a due entry is missing or wrong", id.to_string());
    }
  }
  const std::uint32_t flow_number = flow_of(stored.message);
  for (std::size_t i = 0; i < stored.recipients.size(); ++i) {
    const RecipientState state = stored.recipients[i].state;
    if (is_final(state)) continue;
    LaneRow& lane = lanes_[lane_key(stored.message.lanes[i])];
    ++lane.queued;
    if (state == RecipientState::held) ++lane.held;
    if (state != RecipientState::queued) continue;
    FlowRow& flow = flows_[flow_key({stored.message.lanes[i], stored.message.klass, flow_number})];
    if (flow.queued == 0 || stored.recipients[i].due < flow.earliest) {
      flow.earliest = stored.recipients[i].due;
    }
    ++flow.queued;
  }
  totals_[stored.message.tenant] += contribution(&stored);
  LiveRow& live = live_[row.location.epoch];
  ++live.records;
  live.octets += row.location.record_length;
}

void Audit::orphans() {
  scan(
      Family::recipients,
      [&](std::string_view key, std::string_view) {
        QueueId id;
        const auto recipient = parse_recipient_key(key, id);
        auto owner = recipient ? view_.get(Family::messages, message_key(id))
                               : Result<std::optional<std::string>>(std::optional<std::string>());
        if (!owner || !*owner) problem("index: the status of a recipient without a message");
        return true;
      },
      "recipients");
}

void Audit::due() {
  scan(
      Family::due,
      [&](std::string_view key, std::string_view) {
        ++report_.due_entries;
        const auto parts = parse_due_key(key);
        if (!parts) problem("index: a due entry does not decode");
        return true;
      },
      "due");
  if (report_.due_entries != due_expected_) {
    problem("index: {} due entries, but the messages have {}", report_.due_entries, due_expected_);
  }
}

void Audit::counters() {
  scan(
      Family::lanes,
      [&](std::string_view key, std::string_view value) {
        const auto lane = parse_lane_key(key);
        LaneRow row;
        const LaneRow& real = lanes_[std::string(key)];
        if (!lane || !decode_row(value, row) || row.queued != real.queued ||
            row.held != real.held) {
          problem("index: the counter of lane {} is wrong", lane ? lane->destination : "?");
        }
        lanes_.erase(std::string(key));
        return true;
      },
      "lanes");
  scan(
      Family::flows,
      [&](std::string_view key, std::string_view value) {
        const auto flow = parse_flow_key(key);
        FlowRow row;
        const FlowRow& real = flows_[std::string(key)];
        if (!flow || !decode_row(value, row) || row.queued != real.queued ||
            row.earliest > real.earliest) {
          problem("index: the counter of a flow of {} is wrong",
                  flow ? flow->lane.destination : "?");
        }
        flows_.erase(std::string(key));
        return true;
      },
      "flows");
  if (!lanes_.empty()) problem("index: {} lanes have no counter", lanes_.size());
  if (!flows_.empty()) problem("index: {} flows have no counter", flows_.size());
}

void Audit::totals() {
  scan(
      Family::totals,
      [&](std::string_view key, std::string_view value) {
        Totals row;
        const Totals& real = totals_[std::string(key)];
        const bool same = decode_row(value, row) && row.balanced() && row.queued == real.queued &&
                          row.held == real.held && row.in_doubt == real.in_doubt &&
                          row.quarantined == real.quarantined && row.messages == real.messages &&
                          row.octets == real.octets;
        if (!same) problem("index: the totals of tenant {} are wrong", key);
        totals_.erase(std::string(key));
        return true;
      },
      "totals");
  if (!totals_.empty()) problem("index: {} tenants have no totals", totals_.size());
}

void Audit::segments() {
  for (const auto& [epoch, counted] : store_.set->all_live()) {
    const LiveRow real = live_[epoch];
    if (counted.records != real.records || counted.octets != real.octets) {
      problem("index: segment {:016x} is said to hold {} messages, but holds {}", epoch,
              counted.records, real.records);
    }
  }
}

}  // namespace

CheckReport check_file_spool(FileSpoolOptions options, CheckOptions check, Clock& clock) {
  options.must_exist = true;
  CheckReport report;
  try {
    Store store(std::move(options), clock, check.rebuild);
    report.rebuilt = check.rebuild;
    report.notes = store.notes;
    if (auto done = store.index->flush(); !done) {
      throw OpenError(74, "index: " + done.error().message());
    }
    Audit(store, report).run();
    (void)store.events->sync();
    const HighWater mark{store.last_group, store.set->next_sequence, store.set->message_count(),
                         true};
    if (auto done = store.high_water->write(mark); !done) {
      throw OpenError(74, "high-water: " + done.error().message());
    }
  } catch (const OpenError& error) {
    if (error.exit_status() != 76) throw;
    report.problems.push_back(error.what());
  }
  return report;
}

}  // namespace mansio::spool
