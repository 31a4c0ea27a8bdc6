// How lanes, suspensions, the queue by age, probes and traces look to people. Pure: JSON in, text
// out; see format.h.
#pragma once

#include <string>

#include "mansio/format.h"

namespace mansio::cli {

/// "suspended example.com until ..., since ... by ...: reason"
std::string suspension_text(const Json& suspension);
/// One line each, or that there is none.
std::string suspensions_text(const Json& answer);
/// A table of lanes with its head.
std::string lanes_text(const Json& answer);
std::string lane_text(const Json& lane);
/// Destinations down, ages across, the totals first.
std::string shape_text(const Json& shape);
/// Route, hosts, addresses, and what each said.
std::string probe_text(const Json& report);
/// "> " us, "< " them, "* " notes.
std::string trace_line_text(const Json& line);

}  // namespace mansio::cli
