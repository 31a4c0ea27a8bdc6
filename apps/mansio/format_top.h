// One frame of `mansio top`: from two samples of the API to numbers, and from these to text. Pure.
#pragma once

#include <string>

#include "mansio/format.h"

namespace mansio::cli {

/// What top asks for, at one moment.
struct TopSample {
  Json status;    ///< /v1/status
  Json summary;   ///< /v1/summary
  Json lanes;     ///< /v1/lanes, the fullest first
  double at = 0;  ///< seconds, monotonic
};

/// `time hostname accepting reason seconds rates{...} queued held in_doubt quarantined in_flight
/// sessions lanes_total busy[] troubled[]`. Rates are per second between the samples, and null
/// where a counter began anew (the daemon was restarted) or no time passed. At most `lanes_max`
/// lanes in each list: the fullest, and the fullest of those that rest or are suspended.
Json top_frame(const TopSample& before, const TopSample& now, std::size_t lanes_max);

/// At most `columns` wide, 0: as it comes. Lines end with a line feed.
std::string top_text(const Json& frame, std::size_t columns);

}  // namespace mansio::cli
