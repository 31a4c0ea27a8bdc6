#include "mansiod/spool_of.h"

#include "spool/file/file_spool.h"
#include "spool/memory/memory_spool.h"

namespace mansio::daemon {

std::unique_ptr<spool::Spool> open_spool(const settings::Settings& settings, Clock& clock) {
  constexpr std::string_view file_scheme = "file:";
  const std::string& url = settings.spool.url;
  if (url.starts_with(file_scheme)) {
    spool::FileSpoolOptions options;
    options.path = url.substr(file_scheme.size());
    options.reserve = settings.spool.reserve;
    options.reserve_share = settings.spool.reserve_share;
    options.must_exist = settings.spool.existing;
    options.history_keep = settings.history_keep;
    return spool::open_file_spool(std::move(options), clock);
  }
  spool::MemorySpoolOptions options;
  options.history_keep = settings.history_keep;
  options.now = [&clock] { return clock.now(); };
  return spool::make_memory_spool(std::move(options));
}

}  // namespace mansio::daemon
