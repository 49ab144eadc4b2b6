#!/bin/sh
echo "runs $*"
