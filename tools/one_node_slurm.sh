#!/bin/bash
# A Slurm of one node on this machine, in a folder of its own: to try the graph of runs on a cluster.
#
#     apt-get install --no-install-recommends slurmctld slurmd slurm-client munge    (Debian, 13 MB)
#     tools/one_node_slurm.sh start FOLDER                and then sbatch, squeue, snakemake ...
#     tools/one_node_slurm.sh lose FOLDER                 the node vanishes, with all that runs on it
#     tools/one_node_slurm.sh node FOLDER                 ... and is back
#     tools/one_node_slurm.sh stop FOLDER
#
# Needs no systemd. Its settings are linked to where jobs look for them, which must be free; that
# needs root. CPUS, MEMORY (in MB) and PORT may be set.
set -euo pipefail

usage="Cannot go on: tools/one_node_slurm.sh start|lose|node|stop FOLDER"
action=${1:?$usage}
folder=$(realpath -m "${2:?$usage}")
port=${PORT:-16817}
export SLURM_CONF=$folder/slurm.conf
linked=/etc/slurm/slurm.conf
PATH=$PATH:/usr/sbin

for program in munged slurmctld slurmd sinfo; do
  command -v $program > /dev/null || {
    echo "Cannot start Slurm: there is no $program; install slurmctld, slurmd, slurm-client and munge" >&2
    exit 2
  }
done

settings() {
  local cores
  cores=$(getconf _NPROCESSORS_ONLN)  # nproc would say OMP_NUM_THREADS
  mkdir -p "$folder"/{state,spool}
  chmod 755 "$folder"
  head -c 128 /dev/urandom > "$folder/munge.key"
  chmod 600 "$folder/munge.key"
  cat > "$SLURM_CONF" << END
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
SlurmdTimeout=10
MpiDefault=none
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=${CPUS:-$cores} RealMemory=${MEMORY:-4000}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

end() {  # one daemon, by the number that it has left, and wait until it is gone
  local number
  number=$(cat "$folder/$1.pid" 2> /dev/null) || return 0
  kill "-${2:-TERM}" "$number" 2> /dev/null || return 0
  for _ in $(seq 100); do kill -0 "$number" 2> /dev/null || return 0; sleep 0.1; done
}

children() {  # of a process, theirs included
  local child
  for child in $(cat /proc/"$1"/task/*/children 2> /dev/null); do children "$child"; echo "$child"; done
}

begin_node() { slurmd -N "$(hostname -s)" 2>> "$folder/slurmd.log"; }

wait_for_node() {
  for _ in $(seq 120); do
    [[ $(sinfo -h -o %t 2> /dev/null) =~ ^(idle|mix|alloc)$ ]] && return 0
    sleep 0.5
  done
  echo "Cannot start Slurm: its node is not ready after a minute; see $folder/slurmctld.log" >&2
  exit 1
}

stop() {
  end slurmd
  end slurmctld
  end munged
  if [[ $linked -ef $SLURM_CONF ]]; then rm $linked; fi
}

case $action in
  start)
    if [[ -e $linked && ! $linked -ef $SLURM_CONF ]]; then
      echo "Cannot start Slurm: $linked is there; this machine has a Slurm of its own" >&2
      exit 2
    fi
    settings
    trap stop EXIT  # what does not come up leaves nothing behind
    ln -sfn "$SLURM_CONF" $linked
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" \
      --pid-file "$folder/munged.pid" --log-file "$folder/munged.log" --seed-file "$folder/seed" >&2
    slurmctld -c >&2
    begin_node
    wait_for_node
    trap - EXIT
    ;;
  lose)
    end slurmd KILL
    for process in /proc/[0-9]*; do
      [[ $(cat "$process/comm" 2> /dev/null) == slurmstepd ]] || continue
      tr '\0' '\n' < "$process/environ" 2> /dev/null | grep -qx "SLURM_CONF=$SLURM_CONF" || continue
      step=${process#/proc/}
      kill -KILL $(children "$step") "$step" 2> /dev/null || true
    done
    ;;
  node) begin_node; wait_for_node ;;
  stop) stop ;;
  *) echo "$usage" >&2; exit 2 ;;
esac
