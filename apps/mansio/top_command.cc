#include "mansio/top_command.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include "mansio/admin_verb.h"
#include "mansio/format_top.h"

namespace mansio::cli {
namespace {

constexpr std::uint64_t lanes_asked = 500;

struct TopOptions {
  std::string interval = "2s";
  bool once = false;
};

double monotonic_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

TopSample sample(const AdminClient& client) {
  TopSample taken;
  taken.status = client.get("/v1/status");
  taken.summary = client.get("/v1/summary");
  taken.at = monotonic_seconds();
  taken.lanes = client.get("/v1/lanes?limit=" + std::to_string(lanes_asked));
  return taken;
}

/// A terminal that gives keys as they are pressed and shows no cursor, while one lives.
class Screen {
 public:
  Screen() {
    keys_ = ::isatty(STDIN_FILENO) != 0 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (keys_) {
      termios raw = before_;
      raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    print("\x1b[?1049h\x1b[?25l");  // the other screen, so that what was there comes back
  }

  ~Screen() {
    print("\x1b[?25h\x1b[?1049l");
    std::fflush(stdout);
    if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }

  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  std::size_t columns() const { return size().ws_col == 0 ? 80 : size().ws_col; }

  std::size_t rows() const { return size().ws_row == 0 ? 24 : size().ws_row; }

  /// Over the frame before, without a flicker; what does not fit is left out.
  void draw(const std::string& text) const {
    std::string out = "\x1b[H";
    std::size_t line = 0;
    const std::size_t last = rows() - 1;
    for (std::size_t begin = 0; begin < text.size() && line < last; ++line) {
      const std::size_t end = text.find('\n', begin);
      out += text.substr(begin, end - begin) + "\x1b[K\r\n";
      begin = end == std::string::npos ? text.size() : end + 1;
    }
    print(out + "\x1b[Jq ends");
    std::fflush(stdout);
  }

  /// False: the user wants to end.
  bool wait(const Interrupts& interrupts, Duration duration) const {
    if (!keys_) {
      interrupts.pause(duration);
      return !interrupts.seen();
    }
    const double end = monotonic_seconds() + std::chrono::duration<double>(duration).count();
    for (double left = end - monotonic_seconds(); left > 0 && !interrupts.seen();
         left = end - monotonic_seconds()) {
      pollfd input{STDIN_FILENO, POLLIN, 0};
      if (::poll(&input, 1, static_cast<int>(left * 1000) + 1) <= 0) continue;
      char key = 0;
      if (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return false;
    }
    return !interrupts.seen();
  }

 private:
  static winsize size() {
    winsize found{};
    ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &found);
    return found;
  }

  termios before_{};
  bool keys_ = false;
};

/// Lanes in each list, so that both fit under the heads.
std::size_t lanes_that_fit(std::size_t rows) { return rows < 18 ? 3 : (rows - 10) / 2; }

int live(const AdminClient& client, Duration interval) {
  TopSample before = sample(client);  // without a daemon it ends here, the screen untouched
  const Interrupts interrupts;
  const Screen screen;
  TopSample now = before;
  do {
    std::string text;
    try {
      now = sample(client);
      text = top_text(top_frame(before, now, lanes_that_fit(screen.rows())), screen.columns());
      before = std::move(now);
    } catch (const Failure& failure) {
      text = std::string(failure.what()) + "\n";  // it may come back
    }
    screen.draw(text);
  } while (screen.wait(interrupts, interval));
  return done;
}

int frames(const AdminClient& client, Duration interval, bool once, bool json) {
  constexpr std::size_t lanes_max = 20;
  const Interrupts interrupts;
  TopSample before = sample(client);
  do {
    interrupts.pause(once ? std::min<Duration>(interval, std::chrono::seconds(1)) : interval);
    if (interrupts.seen()) return done;
    TopSample now = sample(client);
    const Json frame = top_frame(before, now, lanes_max);
    json ? print_json(frame) : print(top_text(frame, 0));
    std::fflush(stdout);
    before = std::move(now);
  } while (!once && std::ferror(stdout) == 0);
  return done;
}

}  // namespace

void add_top_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand(
      "top", "A live view: rates, totals, the fullest lanes and those in trouble");
  const auto wanted = std::make_shared<TopOptions>();
  verb->add_option("--interval", wanted->interval, "Time between frames")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->add_flag("--once", wanted->once, "One frame, without redrawing");
  verb->footer(
      "q or Ctrl-C ends it. Where the output is no terminal it is one frame; with --json an "
      "object\n"
      "per frame until it is ended (one with --once).\nExample: mansio top --interval 5s");
  on_verb(*verb, options, action, [wanted](const AdminClient& client, bool json) {
    const Duration interval = require_duration("--interval", wanted->interval);
    if (interval < std::chrono::milliseconds(100) || interval > std::chrono::hours(24)) {
      throw Failure(usage, "--interval: expected 100ms to 1d");
    }
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    if (terminal && !json && !wanted->once) return live(client, interval);
    return frames(client, interval, wanted->once || !json, json);
  });
}

}  // namespace mansio::cli
