// mansiod --config FILE: stays in the foreground, logs to standard error, reloads on SIGHUP, drains
// and stops on SIGTERM or SIGINT.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <system_error>

#include "base/log.h"
#include "mansiod/daemon.h"
#include "mansiod/exit_status.h"
#include "net/net.h"
#include "settings/load.h"

namespace mansio::daemon {
namespace {

/// Beyond the drain: closing the spool may have to flush its index.
constexpr unsigned stop_grace_seconds = 15;

log::Level level_of(const std::string& text) {
  if (text == "debug") return log::Level::debug;
  if (text == "warning") return log::Level::warning;
  if (text == "error") return log::Level::error;
  return log::Level::info;
}

int exit_status_of(const std::error_code& error) {
  const bool in_use = error == std::errc::address_in_use || error == std::errc::permission_denied ||
                      error == std::errc::address_not_available;
  return in_use ? exit_address_in_use : exit_software;
}

/// Says why the start failed and ends the process as it stands. What began to work must not be
/// destroyed without having been stopped, so nothing is: the spool is safe at any point.
[[noreturn]] void end_failed_start(const std::exception_ptr& failure) {
  int status = exit_software;
  std::string what;
  try {
    std::rethrow_exception(failure);
  } catch (const spool::OpenError& error) {
    status = error.exit_status();
    what = error.what();
  } catch (const std::system_error& error) {
    status = exit_status_of(error.code());
    what = error.what();
  } catch (const std::exception& error) {
    status = exit_configuration;
    what = error.what();
  }
  log::error("start_failed").field("error", what).field("status", status);
  log::flush();
  ::_exit(status);
}

/// The stop has taken far longer than its deadline: some part does not end. What was acknowledged
/// is on disk, so ending here is as safe as a crash, and better than hanging for ever.
extern "C" void stop_overdue(int) {
  const auto say = [](const char* text) {
    const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
    static_cast<void>(written);
  };
  say("mansiod: the stop is overdue and ends here, in stage: ");
  say(Daemon::stop_stage());
  say("\n");
  ::_exit(exit_software);
}

/// Runs until a signal or a failure of the spool ends it; gives the exit status.
int serve(Daemon& daemon, boost::asio::io_context& control) {
  int status = exit_ok;
  bool stopping = false;
  boost::asio::signal_set signals(control, SIGTERM, SIGINT, SIGHUP);

  const auto stop = [&] {
    if (stopping) {
      // A second signal: whoever sends it does not want to wait for the drain.
      log::warning("stop_forced");
      log::flush();
      ::_exit(exit_ok);
    }
    stopping = true;
    net::notify_service_manager("STOPPING=1");
    std::signal(SIGALRM, stop_overdue);
    const auto drain = std::chrono::duration_cast<std::chrono::seconds>(daemon.drain());
    ::alarm(static_cast<unsigned>(drain.count()) + stop_grace_seconds);
    auto task = daemon.stop();
    boost::asio::co_spawn(control, std::move(task), [&](const std::exception_ptr& failure) {
      if (failure) status = exit_software;
      signals.cancel();
      control.stop();
    });
  };
  daemon.on_spool_failure([&](const std::string& why) {
    log::error("spool_failed").field("reason", why);
    log::flush();
    // Nothing can be recorded any more, so there is nothing to drain: a restart recovers.
    ::_exit(exit_spool_io);
  });
  std::function<void()> wait = [&] {
    signals.async_wait([&](const boost::system::error_code& error, int signal) {
      if (error) return;
      log::info("signal").field("number", signal);
      if (signal == SIGHUP) {
        daemon.reload();
      } else {
        stop();
      }
      wait();
    });
  };
  wait();
  try {
    daemon.start();
  } catch (...) {
    end_failed_start(std::current_exception());
  }
  log::info("ready");
  net::notify_service_manager("READY=1");
  control.run();
  log::info("stopped");
  return status;
}

int run(const std::string& config, const std::string& log_format) {
  settings::Settings settings;
  try {
    settings = settings::load(config);
  } catch (const settings::ConfigError& error) {
    for (const settings::Problem& problem : error.problems) {
      std::fprintf(stderr, "mansiod: %s\n", settings::describe_problem(config, problem).c_str());
    }
    return exit_configuration;
  }
  log::configure(log_format == "json" ? log::Format::json : log::Format::text,
                 level_of(settings.log.level));
  boost::asio::io_context control(1);
  Daemon daemon(control, config, std::move(settings));
  return serve(daemon, control);
}

/// A failed start, said once on the log and in the exit status.
int guarded(const std::string& config, const std::string& log_format) {
  try {
    return run(config, log_format);
  } catch (...) {
    end_failed_start(std::current_exception());
  }
}

}  // namespace
}  // namespace mansio::daemon

int main(int argc, char** argv) {
  CLI::App app("mansiod: a durable outbound mail queue and delivery engine");
  app.set_version_flag("--version", MANSIO_VERSION);
  std::string config;
  std::string log_format = "text";
  app.add_option("--config", config, "the configuration file (TOML); see `mansio config defaults`")
      ->required();
  app.add_option("--log-format", log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.footer(
      "Exit status: 0 clean, 69 address in use, 73 spool locked by another process, 74 spool I/O,\n"
      "76 spool damaged, foreign, unexpectedly empty or newer, 78 configuration.\n"
      "Signals: SIGHUP reloads the file, SIGTERM drains and stops.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : mansio::daemon::exit_configuration;
  }
  return mansio::daemon::guarded(config, log_format);
}
