# The ways into the tree; `make` alone lists them. CMake does the work, in build/.
.DEFAULT_GOAL := help
.PHONY: help run test test-sanitize build bench soak format clean

BUILD := build

help:
	@echo 'make run     build, start a demonstration on loopback, show mail going through'
	@echo 'make test    build, run all tests'
	@echo 'make test-sanitize   the unit and acceptance tests under address, undefined and thread sanitizers'
	@echo 'make build   build/bin/mansiod, build/bin/mansio, build/lib/'
	@echo 'make bench   run the benchmarks (docs/BENCHMARKS.md); PARTS="relay postfix" only these'
	@echo 'make soak    run the long tests, and the benchmark with ten million messages'
	@echo 'make format  clang-format on all sources'
	@echo 'make clean   remove build/'

build:
	@scripts/install-deps --build
	@mkdir -p $(BUILD)
	@cmake --preset release > $(BUILD)/configure.log 2>&1 || { cat $(BUILD)/configure.log; exit 1; }
	@ninja -C $(BUILD)

run: build
	@scripts/demo

test:
	@scripts/install-deps --build --test
	@$(MAKE) --no-print-directory build
	@ctest --test-dir $(BUILD) --output-on-failure -j2 -LE soak

# Only the programs of the unit and acceptance tests: the daemon's own tests would take hours.
SANITIZED := base_test message_test spool_test schedule_test net_test smtp_test dsn_test \
  settings_test delivery_test edge_test admin_test testing_test acceptance_test
test-sanitize:
	@scripts/install-deps --build --test
	@for kind in asan tsan; do \
	  cmake --preset $$kind > /dev/null && ninja -C $(BUILD)/$$kind $(SANITIZED) && \
	  TSAN_OPTIONS="suppressions=$(CURDIR)/tests/tsan.suppressions second_deadlock_stack=1" \
	  ctest --test-dir $(BUILD)/$$kind --output-on-failure -j2 -R '^(unit\.|acceptance$$)' -E mansio_cli || exit 1; \
	done

bench: build
	@scripts/install-deps --bench
	@scripts/bench $(PARTS)

soak: build
	@scripts/install-deps --test --bench
	@ctest --test-dir $(BUILD) --output-on-failure -L soak
	@scripts/bench soak

format:
	@git ls-files '*.cc' '*.h' '*.hpp' | xargs clang-format-14 -i

clean:
	@rm -rf $(BUILD)
