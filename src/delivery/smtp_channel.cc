#include "delivery/smtp_channel.h"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

#include "base/log.h"
#include "delivery/smtp_run.h"

namespace mansio::delivery {

SmtpChannel::SmtpChannel(SmtpChannelOptions options, std::shared_ptr<RouteSource> routes,
                         Connector& connector, Clock& clock, std::shared_ptr<TlsContext> tls,
                         std::shared_ptr<TlsContext> tls_verifying, TraceBook* traces)
    : options_(std::move(options)), routes_(std::move(routes)) {
  ports_.connector = &connector;
  ports_.clock = &clock;
  ports_.hosts = &hosts_;
  ports_.tls = std::move(tls);
  ports_.tls_verifying = std::move(tls_verifying);
  ports_.traces = traces;
}

Task<SessionReport> SmtpChannel::run(SessionRequest request, WorkSource& source) {
  SmtpRun run(options_, *routes_, ports_, std::move(request), source);
  bool stopped = false;
  std::string why;
  try {
    co_await run.go();
  } catch (const boost::system::system_error& error) {
    stopped = error.code() == boost::asio::error::operation_aborted;
    why = stopped ? "the session was stopped" : std::string("internal error: ") + error.what();
  } catch (const std::exception& error) {
    why = std::string("internal error: ") + error.what();
  }
  if (!why.empty()) {
    if (!stopped) log::error("session_failed").field("text", why);
    run.abandon(stopped, why);
  }
  co_return std::move(run.report);
}

std::string SmtpChannel::describe(const std::string& destination) const {
  return routes_->describe(destination);
}

}  // namespace mansio::delivery
