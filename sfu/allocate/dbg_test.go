package allocate_test
import ("testing";"time")
func TestDbg(t *testing.T){
 h:=newHouse(sorted(),1,falls(4_000_000,500_000)...)
 h.run(11900*ms)
 for i:=0;i<40;i++{ h.run(50*ms); x:=h.est.State(); n:=len(h.screen.shown); t.Logf("%v est %d tgt %d q %v cong %v cur %d target %d resync %v waitV %d waitR %d linkq %d shown last %v miss %d offered %d resent %d next %d", h.now.Sub(start), x.Estimate,x.Target,x.Queue/ms,x.Congested,h.current,h.target,h.resync,len(h.queue[2]),len(h.queue[3]),h.down.Waiting(h.now)/ms, h.screen.shown[n-1], len(h.screen.missing), h.offered[len(h.offered)-1]*8/1000,h.resent[len(h.resent)-1]*8/1000,h.screen.next) }
 _ = time.Now
}
