// The wire types of the admin API: what the engine knows, as JSON with documented field names.
// Times are RFC 3339 UTC (null: none), ids are strings, octets that are not UTF-8 become U+FFFD.
// Pure. Field names are a contract: add, never rename (docs/ARCHITECTURE.md).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "delivery/probe.h"
#include "delivery/trace.h"
#include "queue/queue.h"

namespace mansio::admin {

/// Keeps the order in which fields were added.
using Json = nlohmann::ordered_json;

/// One line, never throws for the octets in it.
std::string dump(const Json& json);

/// Null for epoch zero, which stands for "never" in the engine.
Json time_json(Time time);
Json time_json(const std::optional<Time>& time);

/// {code, enhanced, text, host, stage}; null before the first attempt.
Json reply_json(const Disposition& disposition);

/// An element of a listing: `id reverse_path size accepted_at tenant recipients[...]`, the
/// recipients being those that matched the selector.
Json listed_json(const ListedMessage& listed);
/// The same fields, every recipient, and everything else that is known of the message.
Json message_json(const ListedMessage& listed);
/// `seq time event recipient address attempt outcome cause reply next_attempt reason actor`.
Json history_json(const spool::HistoryEntry& entry);
/// `recipient address reason setting since next_attempt detail`.
Json wait_json(const Wait& wait);
/// `state`: suspended, resting (no host can be used), busy (sessions), waiting (for its turn or the
/// next due time).
Json lane_json(const LaneStatus& lane);
/// `destination binding since until reason actor`; `until` null: until it is resumed.
Json suspension_json(const spool::Suspension& suspension);
/// `ages` (as durations, one for each column but the last, open one), `rows`, `all`.
Json shape_json(const Shape& shape);
Json probe_json(const delivery::ProbeReport& report);
Json trace_json(const delivery::Trace::View& view);
Json totals_json(const spool::Totals& totals);
/// The totals, `in_flight`, `balanced` (of the whole and of every tenant) and `tenants`.
Json summary_json(const spool::Totals& totals, const std::vector<spool::TenantTotals>& tenants,
                  std::uint64_t in_flight);
/// {"error":{"code","message","field"}}; `field` only where one is to blame.
Json error_json(std::string_view code, std::string_view message, std::string_view field = {});

const char* to_text(spool::Health health);

}  // namespace mansio::admin
