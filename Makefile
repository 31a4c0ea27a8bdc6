# The ways into the tree; `make` alone lists them. CMake does the work, in build/.
.DEFAULT_GOAL := help
.PHONY: help run test build bench soak format clean

BUILD := build

help:
	@echo 'make run     build, start a demonstration on loopback, show mail going through'
	@echo 'make test    build, run all tests'
	@echo 'make build   build/bin/mansiod, build/bin/mansio, build/lib/'
	@echo 'make bench   run the benchmarks (docs/BENCHMARKS.md)'
	@echo 'make soak    run the long tests'
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

bench: build
	@scripts/bench

soak: build
	@scripts/install-deps --test
	@ctest --test-dir $(BUILD) --output-on-failure -L soak

format:
	@git ls-files '*.cc' '*.h' '*.hpp' | xargs clang-format-14 -i

clean:
	@rm -rf $(BUILD)
