import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** Lets a user do everything with one topic, one group and the cluster: Allow ADDRESS USER TOPIC GROUP. */
public class Allow {
  public static void main(String[] arguments) throws Exception {
    var entry =
        new AccessControlEntry("User:" + arguments[1], "*", AclOperation.ALL, AclPermissionType.ALLOW);
    List<AclBinding> bindings = new ArrayList<>();
    bindings.add(new AclBinding(new ResourcePattern(ResourceType.TOPIC, arguments[2], PatternType.LITERAL), entry));
    bindings.add(new AclBinding(new ResourcePattern(ResourceType.GROUP, arguments[3], PatternType.LITERAL), entry));
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
      admin.createAcls(bindings).all().get();
    }
  }
}
